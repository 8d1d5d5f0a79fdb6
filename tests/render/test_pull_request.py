from metaxy_core.diff import GraphView, diff
from metaxy_core.render import pull_request
from tests.render.graphs import example, layered


def test_nothing_changed_is_said_in_two_lines():
    text = pull_request.render(GraphView.of(diff(example(), example())))
    assert text == "## Features: nothing changed\n\nThe graph is `8468950d`, as before."


def test_a_large_diff_still_fits_into_a_comment():
    text = pull_request.render(
        GraphView.of(diff(layered(600, 1), layered(600, 2, long_names=True)))
    )
    assert len(text) < 65_536
    assert " more." in text
    assert "The picture is too large for a comment" in text
