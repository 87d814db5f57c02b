"""A page that asks an endpoint which streams, in the name of whoever has it open."""

# Its libraries are in an environment of its own, where no checker looks.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedFunctionDecorator=false

import os
from collections.abc import Iterator
from typing import Any

import httpx
import streamlit as st

YARD = os.environ["MODELYARD_URL"]
ENDPOINT = os.environ.get("ENDPOINT", "text")
ANSWER_SECONDS = 60.0


def write_on(wish: dict[str, Any]) -> Iterator[str]:
    """The answer's parts, as they come."""
    token = st.context.headers.get("X-Modelyard-Token")
    headers = {"accept": "text/plain", **({"authorization": f"Bearer {token}"} if token else {})}
    url = f"{YARD}/endpoints/{ENDPOINT}/invocations"
    with httpx.stream("POST", url, json=wish, headers=headers, timeout=ANSWER_SECONDS) as answer:
        if answer.is_error:
            answer.read()
            told = answer.json()["error"]
            raise RuntimeError(f"{told['message']}; {told['hint']}")
        yield from answer.iter_text()


st.set_page_config(page_title="Text, written on")
st.title("Text, written on")
with st.form("wish"):
    prompt = st.text_input("Prompt", "ROMEO:")
    wish = {
        "prompt": prompt,
        "length": st.slider("Characters", 20, 2000, 400),
        "characters_per_second": st.slider("Characters a second", 10, 500, 40),
        "temperature": st.slider("Temperature", 0.1, 2.0, 0.8),
        "seed": st.number_input("Seed", 0, 2**31 - 1, 0),
    }
    asked = st.form_submit_button("Write on")
if asked:
    written, place = prompt, st.container(border=True).empty()
    try:
        for part in write_on(wish):
            written += part
            # Not st.write_stream: that takes it for Markdown, and a play's lines for one paragraph.
            place.text(written)
    except (httpx.HTTPError, RuntimeError) as error:
        st.error(f"The endpoint did not answer: {error}")
