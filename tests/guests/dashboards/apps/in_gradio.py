"""What people write in Gradio: a function with a box for what goes in and one for what comes out, which streams."""

# Its libraries are in an environment of its own, where no checker looks.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedFunctionDecorator=false

from collections.abc import Iterator

import gradio as gr


def spell(word: str) -> Iterator[str]:
    for end in range(1, len(word) + 1):
        yield f"so far {word[:end]}"


gr.Interface(spell, gr.Textbox(label="Word"), gr.Textbox(label="Spelled"), flagging_mode="never").launch()
