"""A page that asks an endpoint which streams, in the name of whoever has it open."""

# Its libraries are in an environment of its own, where no checker looks.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedFunctionDecorator=false

import os
from collections.abc import Iterator

import httpx
import streamlit as st

YARD = os.environ["MODELYARD_URL"]
ENDPOINT = os.environ.get("ENDPOINT", "text")
ANSWER_SECONDS = 60.0


def write_on(prompt: str, length: int, temperature: float, seed: int) -> Iterator[str]:
    """The answer's parts, as they come."""
    token = st.context.headers.get("X-Modelyard-Token")
    headers = {"accept": "text/plain", **({"authorization": f"Bearer {token}"} if token else {})}
    asked = {"prompt": prompt, "length": length, "temperature": temperature, "seed": seed}
    url = f"{YARD}/endpoints/{ENDPOINT}/invocations"
    with httpx.stream("POST", url, json=asked, headers=headers, timeout=ANSWER_SECONDS) as answer:
        if answer.is_error:
            answer.read()
            raise RuntimeError(answer.json()["error"]["message"])
        yield from answer.iter_text()


st.set_page_config(page_title="Text, written on")
st.title("Text, written on")
with st.form("asked"):
    prompt = st.text_input("Prompt", "ROMEO:")
    length = st.slider("Characters", 20, 2000, 400)
    temperature = st.slider("Temperature", 0.1, 2.0, 0.8)
    seed = st.number_input("Seed", 0, 2**31 - 1, 0)
    asked = st.form_submit_button("Write on")
if asked:
    try:
        with st.container(border=True):
            st.write_stream(write_on(prompt, length, temperature, int(seed)))
    except (httpx.HTTPError, RuntimeError) as error:
        st.error(f"The endpoint did not answer: {error}")
