"""Where and when people were picked up: a map, the hours of the day, and who is looking."""

# Its libraries are in an environment of its own, where no checker looks.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedFunctionDecorator=false

from pathlib import Path

import altair as alt
import pandas as pd
import streamlit as st

DATA = Path(__file__).parent / "data" / "pickups.csv"
CELL_DEGREES = 0.004
"""Side of a square of the map: some 400 m."""

AREA = {"lat": (40.6, 40.9), "lon": (-74.06, -73.75)}


@st.cache_data
def read_pickups() -> pd.DataFrame:
    table = pd.read_csv(DATA)
    return pd.DataFrame(
        {
            "hour": pd.to_datetime(table["Date/Time"], format="%m/%d/%Y %H:%M:%S").dt.hour,
            "lat": table["Lat"],
            "lon": table["Lon"],
            "base": table["Base"],
        }
    )


def squares(pickups: pd.DataFrame) -> pd.DataFrame:
    """How many pickups each square of the map has; those outside the area are left out."""
    inside = pickups[pickups["lat"].between(*AREA["lat"]) & pickups["lon"].between(*AREA["lon"])]
    cells = (inside[["lat", "lon"]] / CELL_DEGREES).round() * CELL_DEGREES
    return cells.groupby(["lat", "lon"]).size().reset_index(name="pickups")


def draw_map(pickups: pd.DataFrame) -> alt.Chart:
    """Without tiles of a map server: the city shows by where its people are, and the page asks nobody else."""
    return (
        alt.Chart(squares(pickups))
        .mark_square(size=34, opacity=0.9)
        .encode(
            longitude="lon:Q",
            latitude="lat:Q",
            color=alt.Color("pickups:Q", scale=alt.Scale(type="log", scheme="viridis")),
            tooltip=["pickups:Q", "lat:Q", "lon:Q"],
        )
        .project("mercator")
        .properties(height=560)
    )


st.set_page_config(page_title="Pickups", layout="wide")
who = st.context.headers.get("X-Forwarded-Email") or st.context.headers.get("X-Forwarded-User") or "nobody we know"
groups = st.context.headers.get("X-Forwarded-Groups") or "no group"
st.title("Pickups in New York, September 2014")
st.caption(f"Seen by {who} ({groups})")

everything = read_pickups()
bases = st.sidebar.multiselect("Bases", sorted(everything["base"].unique()))
first, last = st.sidebar.slider("Hours of the day", 0, 23, (0, 23))
chosen = everything[everything["hour"].between(first, last)]
if bases:
    chosen = chosen[chosen["base"].isin(bases)]

st.metric("Pickups", f"{len(chosen):,}")
left, right = st.columns([3, 2])
if chosen.empty:
    left.info("Nobody was picked up then, there.")
else:
    left.altair_chart(draw_map(chosen))
right.bar_chart(chosen.groupby("hour").size().rename("pickups"), x_label="hour", y_label="pickups")
