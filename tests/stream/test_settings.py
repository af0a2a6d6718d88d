from pathlib import Path

import pytest

from stream.errors import SettingError
from stream.settings import SECRETS, Settings, environment_names, load_settings


def test_environment_goes_before_file_before_default(tmp_path: Path) -> None:
    file = tmp_path / "ajil.toml"
    file.write_text('group = "from-file"\nbatch_size = 7\n')
    settings = load_settings({"AJIL_CONFIG": str(file), "AJIL_GROUP": "from-environment"})
    assert settings.group == "from-environment"
    assert settings.batch_size == 7
    assert settings.brokers == "127.0.0.1:9092"


def test_command_line_goes_before_all() -> None:
    assert load_settings({"AJIL_GROUP": "a"}, group="b").group == "b"
    assert load_settings({"AJIL_GROUP": "a"}, group=None).group == "a"


def test_empty_variable_means_not_set() -> None:
    assert load_settings({"AJIL_GROUP": ""}).group == "ajil"


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Settings().group = "other"  # type: ignore[misc]


def test_secret_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hush hush\n")
    settings = load_settings({"AJIL_SASL_PASSWORD_FILE": str(file), "AJIL_SASL_USERNAME": "ajil"})
    assert settings.sasl_password == "hush hush"
    assert "hush" not in repr(settings)
    assert "hush" not in str(settings.masked())


def test_every_password_is_a_secret() -> None:
    assert {name for name in Settings.__struct_fields__ if "password" in name} == set(SECRETS)


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"AJIL_BATCH_SIZE": "many"}, "AJIL_BATCH_SIZE"),
        ({"AJIL_BATCH_SIZE": "0"}, ">= 1"),
        ({"AJIL_HTTP_PORT": "65536"}, "AJIL_HTTP_PORT"),
        ({"AJIL_DELIVERY": "at_most_once"}, "at_least_once"),
        ({"AJIL_TOPIC_RAW": "no spaces"}, "AJIL_TOPIC_RAW"),
        ({"AJIL_MODEL_SHA256": "abc"}, "AJIL_MODEL_SHA256"),
        ({"AJIL_SECURITY_PROTOCOL": "sasl_ssl"}, "AJIL_SASL_USERNAME"),
        ({"AJIL_SASL_PASSWORD_FILE": "/does/not/exist"}, "AJIL_SASL_PASSWORD_FILE"),
        ({"AJIL_SSL_CA_FILE": "/does/not/exist"}, "is not a file"),
        ({"AJIL_TOPIC_RAW": "a", "AJIL_TOPIC_ENRICHED": "a"}, "one name"),
        ({"AJIL_CONFIG": "/does/not/exist"}, "AJIL_CONFIG"),
    ],
)
def test_wrong_setting_is_named(environ: dict[str, str], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        load_settings(environ)


def test_wrong_secret_is_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "ajil.toml"
    file.write_text('sasl_password = "hush"\n')
    with pytest.raises(SettingError, match="is a secret") as refused:
        load_settings({"AJIL_CONFIG": str(file)})
    assert "hush" not in str(refused.value)


def test_unknown_key_in_the_file_is_refused_with_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "ajil.toml"
    file.write_text('broker = "kafka:9092"\n')
    with pytest.raises(SettingError, match="did you mean brokers"):
        load_settings({"AJIL_CONFIG": str(file)})


def test_paths_can_be_set(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.touch()
    settings = load_settings({"AJIL_MODEL": "/a/bundle", "AJIL_SSL_CA_FILE": str(file)})
    assert (settings.model, settings.ssl_ca_file) == (Path("/a/bundle"), file)


@pytest.mark.parametrize("name", ["AJIL_SESSION_TIMEOUT", "AJIL_MAX_POLL_INTERVAL", "AJIL_STOP_DEADLINE"])
@pytest.mark.parametrize("value", ["inf", "nan", "-1", "0", "1e8"])
def test_times_are_bounded(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        load_settings({name: value})


def test_environment_names_have_every_field() -> None:
    names = environment_names()
    assert {"AJIL_CONFIG", "AJIL_BROKERS", "AJIL_TOPIC_RAW", "AJIL_SASL_PASSWORD_FILE"} <= set(names)
    assert len(names) == len(set(names)) == 1 + len(Settings.__struct_fields__) + len(SECRETS)
