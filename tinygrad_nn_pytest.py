"""The pytest plugin of tinygrad_nn: the fixture and marker ``gradcheck``, two options, a line.

    def test_my_loss(gradcheck):
        gradcheck(loss, w, x)                            # as tn.gradcheck, of --gradcheck-order
        gradcheck(loss, testing.arrays((3,)), x)         # at --gradcheck-examples drawn points

    @pytest.mark.gradcheck(order=2, examples=500)        # for one test; -m gradcheck selects it

After the tests a line says what all their checks found, those of a plain ``tn.gradcheck`` too;
a failure shows the code that reproduces it in a section of its own, so that it can be pasted.

A module beside the package and not within it: by its entry point pytest imports it in every
project of an environment, and must not import NumPy or hypothesis for that. They come with the
first test that asks for the fixture.
"""

import sys

try:
    import pytest
except ImportError:
    raise ImportError("tinygrad_nn_pytest is a plugin for pytest, which is not installed: "
                      "pip install 'tinygrad_nn[test]'") from None

SETTINGS = ("order", "examples")


def pytest_addoption(parser):
    group = parser.getgroup("gradcheck", "checks of derivatives (tinygrad_nn)")
    group.addoption("--gradcheck-order", type=int, choices=(1, 2, 3, 4), default=1,
                    help="the fixture gradcheck checks derivatives up to this order (1)")
    group.addoption("--gradcheck-examples", type=int, default=100, metavar="N",
                    help="the fixture gradcheck examines N draws of a strategy (100)")


def pytest_configure(config):
    config.addinivalue_line("markers", "gradcheck(order=..., examples=...): a test of "
                            "derivatives; the numbers are for its fixture gradcheck")
    config.pluginmanager.register(Session(config), "tinygrad_nn_session")


@pytest.fixture(scope="session")            # hypothesis refuses fixtures made for each function
def gradcheck(pytestconfig):
    """tn.gradcheck, of the order that the marker or the options say.

    Inputs may be strategies: then drawn points are checked, and what is raised is the smallest
    failure found. For those, and in a test under ``@given``, it is no failure if a derivative
    cannot be measured.
    """
    return pytestconfig.pluginmanager.get_plugin("tinygrad_nn_session").check


class Session:
    """One run of pytest: the test that is running, and what the checks in it found."""

    def __init__(self, config):
        self.config, self.item = config, None
        self.found, self.total = Tally(), Tally()       # in this phase of the test; in all

    def setting(self, name):
        """The marker's number for this test, or the option's."""
        marker = self.item.get_closest_marker("gradcheck")
        if marker is None:
            return self.config.getoption(f"gradcheck_{name}")
        if marker.args or set(marker.kwargs) - set(SETTINGS):
            raise pytest.UsageError("the marker gradcheck takes order= and examples=, got "
                                    f"{marker.args or ''}{marker.kwargs}: {self.item.nodeid}")
        return marker.kwargs.get(name, self.config.getoption(f"gradcheck_{name}"))

    def check(self, f, *inputs, order=None, examples=None, **keywords):
        """What the fixture gives."""
        __tracebackhide__ = True
        import tinygrad_nn as tn
        from tinygrad_nn._gradcheck import check
        self.listen()
        order = self.setting("order") if order is None else order
        hypothesis = sys.modules.get("hypothesis")      # whoever has a strategy imported it
        if hypothesis is not None and any(
                isinstance(x, hypothesis.strategies.SearchStrategy) for x in inputs):
            examples = self.setting("examples") if examples is None else examples
            return tn.testing.check_function(f, *inputs, order=order, examples=examples,
                                             **keywords)
        report = check(f, inputs, order=order, **keywords)
        drawn = hypothesis is not None and hypothesis.currently_in_test_context()
        if report.verdict == "wrong" or not (report or drawn):
            raise tn.GradcheckError(str(report), report)
        return report

    # ------------------------------------------------------------ counting

    def listen(self):
        """Hear of every check from now on, if the package is there already."""
        module = sys.modules.get("tinygrad_nn._gradcheck")
        if module is not None and self.observe not in module.observers:
            module.observers.append(self.observe)

    def observe(self, report):
        """Count one report."""
        self.found.add(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        self.item = item
        self.listen()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = (yield).get_result()
        if self.found.checks:       # it travels with the report, from another process as well
            report.gradcheck, self.found = vars(self.found), Tally()
        error = call.excinfo and call.excinfo.value
        example = getattr(error, "example", None) or getattr(
            getattr(error, "report", None), "snippet", None)
        if example:
            report.sections.append(("gradcheck: to reproduce", example))

    def pytest_runtest_logreport(self, report):
        if hasattr(report, "gradcheck"):
            self.total.merge(report.gradcheck, report.nodeid)

    def pytest_terminal_summary(self, terminalreporter):
        if self.total.checks:
            terminalreporter.write_line(str(self.total))

    def pytest_unconfigure(self):
        module = sys.modules.get("tinygrad_nn._gradcheck")
        if module is not None and self.observe in module.observers:
            module.observers.remove(self.observe)


class Tally:
    """What several checks found, in lists and numbers that can be sent to another process."""

    def __init__(self):
        self.checks = self.directions = self.unmeasured = 0
        self.operations, self.kinks, self.digits, self.where = [], [], 16.0, ""

    def add(self, report):
        """Count a report of gradcheck."""
        right = bool(report)                    # else its operations may not run at all
        self.merge({"checks": 1, "directions": report.directions, "kinks": report.kinks,
                    "unmeasured": report.verdict == "unmeasured",
                    "operations": report.operations if right else (),
                    "digits": report.digits if right else 16.0})

    def merge(self, other, where=""):
        """Add what another tally, as a dict, found in the test ``where``."""
        for name in ("checks", "directions", "unmeasured"):
            setattr(self, name, getattr(self, name) + int(other[name]))
        for name in ("operations", "kinks"):
            mine = getattr(self, name)
            mine += [x for x in other[name] if x not in mine]
        if other["digits"] < self.digits:
            self.digits, self.where = float(other["digits"]), where

    def __str__(self):
        kinks = ", ".join(self.kinks[:5]) or "none"
        more = f" and {len(self.kinks) - 5} more" if len(self.kinks) > 5 else ""
        return (f"gradcheck: {self.checks} checks of {len(self.operations)} operations along "
                f"{self.directions} directions; kinks: {kinks}{more}; worst agreement "
                f"{max(self.digits, 0.0):.1f} digits{self.where and ' in '}{self.where}; "
                f"{self.unmeasured} unmeasured")
