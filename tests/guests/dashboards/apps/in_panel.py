"""What people write in Panel: a widget, bound to a function over the WebSocket of its session."""

import panel as pn

pn.extension()
press = pn.widgets.Button(name="Count", button_type="primary")
pn.Column("# Series", press, pn.bind(lambda clicks: f"counted {clicks}", press.param.clicks)).servable()
