from metaxy_core.render.text import elide, one_line, versions, width


def test_every_kind_of_space_is_one_space():
    assert one_line(" a\r\n\tb\u2028c\u00a0d ") == "a b c d"


def test_characters_that_cannot_be_seen_are_made_visible():
    assert one_line("a\x00b\u202ec\ud800") == "a\ufffdb\ufffdc\ufffd"


def test_a_text_that_fits_stays_whole():
    assert elide("abcd", 4) == "abcd"


def test_a_cut_text_has_the_length_asked_for():
    assert [len(elide("x" * 50, limit)) for limit in (5, 12, 49)] == [5, 12, 49]


def test_wide_characters_take_more_room():
    assert width("視覚", 10) > width("ab", 10)


def test_equal_versions_are_said_once():
    said = [versions(*pair) for pair in (("a", "a"), ("a", "b"), (None, "b"), ("a", None))]
    assert said == ["a", "a → b", "b", "a"]
