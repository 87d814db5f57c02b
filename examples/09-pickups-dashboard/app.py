"""Where and when people were picked up: a map, the hours of the day, and who is looking."""

# Its libraries are in an environment of its own, where no checker looks.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedFunctionDecorator=false

from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

DATA = Path(__file__).parent / "data" / "pickups.csv"
# Side of a square of the map: some 200 m. A comment, because Streamlit writes a string that stands alone on the page.
CELL_DEGREES = 0.002

# Without the scheme's darkest, which would not be seen on a dark page.
COLOURS = alt.SchemeParams("plasma", extent=[0.2, 1])

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


def squares(pickups: pd.DataFrame) -> list[dict[str, Any]]:
    """The map's squares with how many pickups each has, as GeoJSON; those outside the area are left out."""
    inside = pickups[pickups["lat"].between(*AREA["lat"]) & pickups["lon"].between(*AREA["lon"])]
    cells = (inside[["lat", "lon"]] / CELL_DEGREES).round().astype(int)
    counts = cells.groupby(["lat", "lon"]).size()
    return [square(lat * CELL_DEGREES, lon * CELL_DEGREES, int(count)) for (lat, lon), count in counts.items()]


def square(lat: float, lon: float, pickups: int) -> dict[str, Any]:
    north, south, east, west = (
        lat + CELL_DEGREES / 2,
        lat - CELL_DEGREES / 2,
        lon + CELL_DEGREES / 2,
        lon - CELL_DEGREES / 2,
    )
    # Clockwise, or it would be the rest of the world.
    corners = [[west, south], [west, north], [east, north], [east, south], [west, south]]
    place = {"type": "Polygon", "coordinates": [corners]}
    return {"type": "Feature", "geometry": place, "lat": round(lat, 3), "lon": round(lon, 3), "pickups": pickups}


def draw_map(pickups: pd.DataFrame) -> alt.Chart:
    """Without tiles of a map server: the city shows by where its people are, and the page asks nobody else."""
    return (
        alt.Chart(alt.Data(values=squares(pickups)))
        .mark_geoshape()
        .encode(
            color=alt.Color("pickups:Q", scale=alt.Scale(type="log", scheme=COLOURS)),
            tooltip=["pickups:Q", "lat:Q", "lon:Q"],
        )
        .project("mercator")
        .properties(height=560)
    )


st.set_page_config(page_title="Pickups", layout="wide")
who = st.context.headers.get("X-Forwarded-Email") or st.context.headers.get("X-Forwarded-User") or "nobody we know"
groups = st.context.headers.get("X-Forwarded-Groups") or "no group"
st.title("Pickups in New York")
st.write(f"September 2014, seen by {who} ({groups})")

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
