"""What people write in Streamlit: a widget, something kept for the session, an upload, and who is there."""

# Its libraries are in an environment of its own, where no checker looks.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedFunctionDecorator=false

import streamlit as st

st.title("Pickups")
st.session_state.setdefault("clicks", 0)
if st.button("Count"):
    st.session_state.clicks += 1
st.write(f"counted {st.session_state.clicks}")
st.write(f"seen by {st.context.headers.get('X-Forwarded-User')}")
given = st.file_uploader("Rows")
if given is not None:
    st.write(f"{len(given.getvalue())} bytes of {given.name}")
