"""What people write in Panel: a widget, bound to a function over the WebSocket of its session."""

# Its libraries are in an environment of its own, where no checker looks.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedFunctionDecorator=false

import panel as pn

pn.extension()
press = pn.widgets.Button(name="Count", button_type="primary")
pn.Column("# Series", press, pn.bind(lambda clicks: f"counted {clicks}", press.param.clicks)).servable()
