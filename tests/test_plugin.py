"""The pytest plugin, seen from projects that use it and from one that does not."""

import subprocess
import sys

import pytest

import tinygrad_nn as tn
from tinygrad_nn import _gradcheck, testing  # noqa: F401  pytester forgets what it imports

pytest_plugins = ["pytester"]
HEAD = """
    import numpy as np, pytest, tinygrad_nn as tn
    from hypothesis import given
    from tinygrad_nn import testing

    @tn.primitive
    def cube(x):
        return x * x * x

    @tn.primitive
    def tenth(x):                                   # wrong where x is 0, and only there
        return x * x * x
    for fn, slope in ((cube, lambda x: 3 * x * x),
                      (tenth, lambda x: np.where(x == 0, 0.1, 3 * x * x))):
        tn.rules.elementwise(fn, slope)
"""


@pytest.fixture
def run(pytester):
    """Run pytest on a file of tests, with or without the plugin."""
    def run(text, *options, plugin=True, head=HEAD):
        pytester.makepyfile(test_it=head + text)
        return pytester.runpytest("-p", "tinygrad_nn_pytest" if plugin
                                  else "no:tinygrad_nn_pytest", *options)
    return run


def test_the_fixture_checks_and_the_summary_counts(run):
    result = run("""
    def test_right(gradcheck):
        report = gradcheck(lambda x: np.sin(x) * 2, np.array([0.25, 1.0]))
        assert report.verdict == "right" and len(report.rows) == 2

    def test_plain():
        tn.gradcheck(np.abs, np.array([0.0, 1.0]))
    """)
    result.assert_outcomes(passed=2)
    result.stdout.re_match_lines([
        r"gradcheck: 2 checks of 3 operations along \d directions; kinks: np\.absolute; "
        r"worst agreement 1\d\.\d digits( in test_it.py::test_\w+)?; 0 unmeasured"])


def test_a_wrong_rule_fails_and_shows_the_code_in_a_section(run, pytester):
    result = run("""
    def test_wrong(gradcheck):
        gradcheck(tenth, np.array([0.25, 0.0]))
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*gradcheck: to reproduce*", "import numpy as np*"])


@pytest.mark.parametrize("test", ["""
    def test_drawn(gradcheck):
        gradcheck(tenth, testing.arrays(special=True))
    """, """
    @given(x=testing.arrays(special=True))
    def test_given(gradcheck, x):
        gradcheck(tenth, x)
    """, """
    def test_op():
        testing.check_op(tenth)
    """])
def test_a_failing_property_shows_the_smallest_example_as_code(run, test):
    result = run(test)
    result.assert_outcomes(failed=1)
    text = result.stdout.str().partition("gradcheck: to reproduce")[2]
    assert "\nx0 = np.array(0.0)\n" in text.replace("0., 'float64'", "0.0")


def test_a_failing_example_of_hypothesis_is_code(run):
    result = run("""
    @given(x=testing.arrays(2, layout="F"), y=testing.arrays((2, 2), layout="F"))
    def test_given(x, y):
        assert x.sum() < 1 or y.sum() < 1
    """)
    result.stdout.re_match_lines([r".* x=np\.array\(\[[\d., -]+\]\),",
                                  r".* y=tn\.testing\.laid_out\(np\.array\(\[\[.*, 'F'\),"])


def test_order_and_examples(run):
    text = """
    seen = []

    def orders(gradcheck):
        return max(row[3] for row in gradcheck(np.sin, np.array(0.5)).rows)

    def test_options(gradcheck):
        assert orders(gradcheck) == {order}

    @pytest.mark.gradcheck(order=3)
    def test_marker(gradcheck):
        assert orders(gradcheck) == 3
        assert max(row[3] for row in gradcheck(np.sin, np.array(0.5), order=1).rows) == 1

    @pytest.mark.gradcheck(examples=7)
    def test_examples_of_the_marker(gradcheck):
        gradcheck(np.sin, testing.arrays(()).map(lambda x: seen.append(x) or x))

    def test_examples_of_the_option(gradcheck):
        del seen[:]
        gradcheck(np.sin, testing.arrays(()).map(lambda x: seen.append(x) or x))
        assert len(set(map(float, seen))) - 1 == {drawn}        # one more ends it
    """
    result = run(text.format(order=1, drawn=100))
    result.assert_outcomes(passed=4)
    result = run(text.format(order=2, drawn=5), "--gradcheck-order=2",
                 "--gradcheck-examples=5")
    result.assert_outcomes(passed=4)
    result = run(text.format(order=1, drawn=100), "-m", "gradcheck", "--strict-markers")
    result.assert_outcomes(passed=2, deselected=2)


def test_wrong_settings(run):
    result = run("""
    @pytest.mark.gradcheck(ordr=2)
    def test_it(gradcheck):
        gradcheck(np.sin, np.array(0.5))
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*takes order= and examples=, got {'ordr': 2}*"])
    assert run("", "--gradcheck-order=7").ret == pytest.ExitCode.USAGE_ERROR


def test_what_cannot_be_measured_fails_for_a_point_and_counts_for_drawn_ones(run):
    result = run("""
    def test_point(gradcheck):
        gradcheck(np.log, np.array(0.0))

    @given(x=testing.arrays(special=[0.0]))
    def test_given(gradcheck, x):
        gradcheck(np.log, abs(x))

    def test_drawn(gradcheck):
        gradcheck(lambda x: np.log(x * x), testing.arrays(special=[0.0]))

    def test_none_of_them(gradcheck):
        gradcheck(lambda x: np.log(x * 0), testing.arrays(()))
    """)
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.re_match_lines([r".*at none of \d+ drawn points.*",
                                  r"gradcheck: .*; [1-9]\d* unmeasured"])


def test_a_project_that_does_not_use_it_sees_nothing_of_it(run, pytester):
    text = "def test_it():\n    assert 1 + 1 == 2\n"
    with_it, without = (run(text, plugin=p, head="") for p in (True, False))
    for result in (with_it, without):
        result.assert_outcomes(passed=1)
        assert "gradcheck" not in result.stdout.str()


def test_the_plugin_imports_pytest_alone():
    code = ("import sys, tinygrad_nn_pytest; print(*sorted({m.partition('.')[0] for m in "
            "sys.modules} & {'numpy', 'hypothesis', 'tinygrad_nn'}))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == ""


def test_reports_travel_between_processes(run, pytester):
    """As pytest-xdist sends them, through json."""
    pytester.makeconftest("""
    import json, pytest

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(report):
        if hasattr(report, "gradcheck"):
            assert json.loads(json.dumps(report._to_json()))["gradcheck"] == report.gradcheck
            print("sent")
    """)
    result = run("""
    def test_right(gradcheck):
        gradcheck(cube, np.array([0.25, 1.0]))
    """, "-s")
    result.stdout.fnmatch_lines(["*sent*", "gradcheck: 1 checks of 1 operations*"])


def test_nobody_listens_afterwards(run):
    before = list(_gradcheck.observers)
    run("def test_it(gradcheck):\n        gradcheck(np.sin, np.array(0.5))\n")
    assert _gradcheck.observers == before


@pytest.mark.parametrize(("module", "missing", "error"), [
    ("tinygrad_nn_pytest", "pytest", "ImportError"),
    ("tinygrad_nn.testing", "hypothesis", "MissingExtraError")])
def test_what_is_missing_is_one_sentence(module, missing, error):
    code = f"import sys; sys.modules[{missing!r}] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert error in last and missing in last and "pip install 'tinygrad_nn[test]'" in last
    assert issubclass(tn.MissingExtraError, ImportError)
