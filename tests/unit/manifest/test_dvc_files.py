import pytest

from modelyard.errors import InvalidValue
from modelyard.manifest.dvc_files import TrackedOutput, listed_files, read_dvc_config, tracked_outputs

MD5 = "0123456789abcdef0123456789abcdef"


def test_a_dvc_file_says_what_it_tracks():
    text = f"outs:\n- md5: {MD5}\n  size: 4\n  hash: md5\n  path: train.csv\n"
    assert tracked_outputs("train.csv.dvc", text) == [TrackedOutput("train.csv", MD5)]


def test_a_working_folder_counts():
    text = f"wdir: ../raw\nouts:\n- md5: {MD5}.dir\n  path: pictures\n"
    assert tracked_outputs("x.dvc", text) == [TrackedOutput("../raw/pictures", f"{MD5}.dir")]


def test_a_lock_names_the_outputs_of_every_stage():
    text = f"""
schema: '2.0'
stages:
  clean:
    cmd: python clean.py
    deps: [{{path: raw.csv, md5: {MD5}}}]
    outs: [{{path: clean.csv, md5: {MD5}}}, {{path: counted.json, etag: abc}}]
  train: {{cmd: python train.py, outs: [{{path: model, md5: {MD5}.dir}}]}}
  show: {{cmd: python show.py}}
"""
    found = tracked_outputs("dvc.lock", text)
    assert found == [TrackedOutput("clean.csv", MD5), TrackedOutput("model", f"{MD5}.dir")]


@pytest.mark.parametrize("text", ["- a list", "outs: [{md5: " + MD5 + "}]", "a: [", "stages: 3", "outs: 3"])
def test_what_dvc_did_not_write_is_refused(text):
    with pytest.raises(InvalidValue, match=r"cannot read train.csv.dvc"):
        tracked_outputs("train.csv.dvc", text)


def test_an_empty_file_tracks_nothing():
    assert tracked_outputs("x.dvc", "") == []


def test_the_default_remote_comes_first_and_what_cannot_be_read_says_nothing():
    config = read_dvc_config(
        [
            "[core]\n    remote = yard\n['remote \"far\"']\n    url = s3://bucket\n['remote \"yard\"']\n    url = http://a\n",
            "not an ini file",
            "[cache]\n    dir = /elsewhere\n['remote \"yard\"']\n    url = http://b\n    password = p%w\n",
        ]
    )
    assert config.remotes == ("http://b", "s3://bucket")
    assert config.cache == "/elsewhere"
    assert read_dvc_config([]).remotes == ()


def test_a_folders_list_names_its_files():
    assert listed_files(f'[{{"md5": "{MD5}", "relpath": "a/b.txt"}}]') == [("a/b.txt", MD5)]
    for text in ("3", '[{"md5": "x"}]', "no"):
        with pytest.raises(InvalidValue):
            listed_files(text)
