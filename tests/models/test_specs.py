from __future__ import annotations

import json

import pytest
from support.identity_students import spec_fields

from restorect_cli.errors import ModelError
from restorect_cli.models.specs import FileRecord, Manifest, ManifestEntry, StudentSpec, parse_manifest, parse_spec

FILES = {role: {"path": f"denoise-s/{role}.onnx", "sha256": "0" * 64, "bytes": 1} for role in ("prior", "velocity")}


def entry(name: str = "denoise-s") -> ManifestEntry:
    return ManifestEntry.model_validate({**spec_fields(name), "files": FILES})


def test_entry_keeps_its_spec() -> None:
    assert entry().spec == StudentSpec(**spec_fields("denoise-s"))
    assert entry().total_bytes == 2


def test_manifest_survives_its_own_json() -> None:
    manifest = Manifest(students=(entry(),))
    assert parse_manifest(manifest.to_json(), "here") == manifest


def test_with_entry_replaces_and_sorts() -> None:
    manifest = Manifest().with_entry(entry("low-light-s")).with_entry(entry()).with_entry(entry())
    assert [student.name for student in manifest.students] == ["denoise-s", "low-light-s"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../up", "C:/x", "a\\b", ""])
def test_record_stays_inside_its_folder(path: str) -> None:
    with pytest.raises(ValueError):
        FileRecord(path=path, sha256="0" * 64, bytes=1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "m.json is not a manifest"),
        ("[]", "m.json is not a manifest"),
        ('{"format": 2}', "format"),
        ('{"studnets": []}', "studnets"),
        (json.dumps({"students": [{**spec_fields("denoise-s"), "files": {}}]}), "no prior and no velocity"),
        (json.dumps({"students": [{**spec_fields("denoise-s"), "files": FILES}] * 2}), "the same name"),
    ],
)
def test_wrong_manifest_is_a_model_error(text: str, says: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_manifest(text, "m.json")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({}, "no 'restorect' entry"),
        ({"restorect": "{"}, "cannot read"),
        ({"restorect": json.dumps(spec_fields("denoise-s", default_steps=3, max_steps=2))}, "more than max_steps"),
        ({"restorect": json.dumps(spec_fields("denoise-s", colour="red"))}, "colour"),
    ],
)
def test_wrong_metadata_is_a_model_error(metadata: dict[str, str], says: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_spec(metadata, "velocity.onnx")
    assert says in str(caught.value) and "velocity.onnx" in str(caught.value)
