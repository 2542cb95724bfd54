"""Which statements are plain reads: those that may run twice, and behind one another on a session.

A plain read changes nothing, waits for no row that somebody has locked, and leaves nothing in the
session. That is told from its text alone, so it is told narrowly: one SELECT, without ``INTO`` and
``FOR UPDATE`` and their kin, which calls only functions that are known here. A function of the
application may do anything, so a statement that calls one has a connection of its own.
"""

from __future__ import annotations

import re

__all__ = ["is_plain_read"]

# A name or a quoted name, with what stands around it where it is called. To the server each
# character beyond ASCII is a letter: ``€``, an accent by itself, a hard space.
_NAME = re.compile(
    r'(\.\s*)?("(?:[^"]|"")*"|[a-zA-Z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)(?:\s*(\())?'
)
_SELECT = re.compile(r"\s*select\b", re.IGNORECASE)
_FORBIDDEN = frozenset(("into", "for"))

# What may stand before a parenthesis: words of the language, types with a length, and functions of
# PostgreSQL that only compute.
_HARMLESS_WORDS = """
    all and any array as asc between by case desc distinct else end except exists filter from
    group having ilike in intersect is join lateral like limit not offset on or order over
    partition row select similar some then union using values when where within
    bit char character decimal interval numeric time timestamp timestamptz varbit varchar varying
    abs age array_agg array_append array_cat array_length array_position array_remove
    array_to_json array_to_string avg bit_length bool_and bool_or btrim cardinality cast ceil
    ceiling char_length coalesce concat concat_ws count cume_dist date date_part date_trunc decode
    dense_rank div encode every exp extract first_value floor format generate_series
    greatest initcap json_agg json_array_elements json_array_length json_build_array
    json_build_object json_each json_extract_path json_extract_path_text json_object_agg
    jsonb_agg jsonb_array_elements jsonb_array_length jsonb_build_array jsonb_build_object
    jsonb_each jsonb_exists jsonb_extract_path jsonb_extract_path_text jsonb_object_agg
    jsonb_object_keys jsonb_set jsonb_strip_nulls lag last_value lead least left length ln log
    lower lpad ltrim make_date make_interval make_timestamp max md5 min mod mode now nth_value
    ntile nullif octet_length overlay percent_rank percentile_cont percentile_disc
    phraseto_tsquery plainto_tsquery position power range_agg rank regexp_match regexp_matches
    regexp_replace regexp_split_to_array repeat replace reverse right round row_number row_to_json
    rpad rtrim sign split_part sqrt starts_with stddev stddev_pop stddev_samp string_agg
    string_to_array strpos substr substring sum to_char to_date to_json to_jsonb to_number
    to_timestamp to_tsquery to_tsvector translate trim trunc ts_headline ts_rank ts_rank_cd
    unnest upper var_pop var_samp variance websearch_to_tsquery width_bucket
"""
_HARMLESS = frozenset(_HARMLESS_WORDS.split())


def is_plain_read(text: str) -> bool:
    """Whether a statement of PostgreSQL is a plain read, as far as its text tells.

    Args:
        text: The statement without strings and comments, and with its quoted names:
            `placeholders.Scan.shown`.
    """
    if _SELECT.match(text) is None:
        return False
    for match in _NAME.finditer(text):
        of, name, called = match.groups()
        word = name.lower()
        if word in _FORBIDDEN:
            return False
        # One of a schema, or a quoted one, may be anybody's. Of letters beyond ASCII, `lower` makes
        # some that are none: of the sign of Kelvin a "k".
        if called and (of or word not in _HARMLESS or not name.isascii()):
            return False
    return ";" not in text.rstrip("; \t\r\n")
