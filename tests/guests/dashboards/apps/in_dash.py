"""What people write in Dash: a layout, and a callback."""

# Its libraries are in an environment of its own, where no checker looks.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedFunctionDecorator=false

from dash import Dash, Input, Output, dcc, html

app = Dash(__name__)
app.layout = html.Div([html.H1("Prices"), dcc.Input(id="rooms", type="number", value=2), html.P(id="price")])


@app.callback(Output("price", "children"), Input("rooms", "value"))
def price(rooms: int | None) -> str:
    return f"costs {100 * (rooms or 0)}"


if __name__ == "__main__":
    app.run()
