import configparser
import shlex

import psutil
import pytest
from supervisor.datatypes import dict_of_key_value_pairs

from local.config import Config
from local.errors import StackError
from local.programs import Program
from local.settings import Settings
from local.stack import Stack
from local.supervisor import Supervisor, configuration
from local.waiting import until


def parsed(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(inline_comment_prefixes=(";", "#"), interpolation=None)
    parser.read_string(text)
    return parser


def test_no_program_listens_on_every_interface(tmp_path):
    stack = Stack(Settings.on_free_ports(tmp_path))
    text = configuration(stack.config, stack.programs.values())
    assert "0.0.0.0" not in text  # noqa: S104
    assert len([section for section in parsed(text).sections() if section.startswith("program:")]) == 11


def test_commands_and_variables_are_escaped(tmp_path):
    command = ("/a path/with 'quotes'", "100%", "--name=value")
    variables = {"SPACE": "a b", "QUOTE": "it's", "PERCENT": "50%", "EMPTY": "", "URL": "postgresql://u:p@h:1/d"}
    text = configuration(Config.of(Settings.on_free_ports(tmp_path)), [Program("p", command, variables)])
    section = parsed(text)["program:p"]
    assert tuple(shlex.split(section["command"].replace("%%", "%"))) == command
    assert dict_of_key_value_pairs(section["environment"].replace("%%", "%")) == variables


@pytest.mark.parametrize("value", ["both ' and \"", "a #b", "a ;b", "two\nlines"])
def test_a_value_that_cant_be_escaped_is_refused(tmp_path, value):
    with pytest.raises(StackError, match="can't be given"):
        configuration(Config.of(Settings.on_free_ports(tmp_path)), [Program("p", ("true",), {"NAME": value})])


@pytest.mark.programs
def test_a_stop_waits_for_the_end_without_work(tmp_path):
    config = Config.of(Settings.on_free_ports(tmp_path))
    supervisor = Supervisor(config)
    slow = "trap 'sleep 2; echo ended; exit' TERM; echo ready; while :; do sleep 0.1; done"
    supervisor.launch([Program("slow", ("/bin/sh", "-c", slow))])
    process = psutil.Process(supervisor.pid())
    try:
        supervisor.start("slow")
        until(lambda: "ready" in config.layout.log("slow").read_text(), "the program")
        before = process.cpu_times()
        supervisor.stop("slow")
        used = process.cpu_times()
        assert supervisor.state("slow").state == "STOPPED"
        assert "ended" in config.layout.log("slow").read_text()
        assert used.user + used.system - before.user - before.system < 0.5
    finally:
        supervisor.shut_down()
        process.wait(10)
        config.layout.remove_run()
