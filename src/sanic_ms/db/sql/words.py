"""Words that leave a session as it is: what may stand before a parenthesis in a proven statement.

A word is on a list if, called, it only computes, or changes what ends with its transaction. Words
of the language that precede a parenthesis (``IN (``, ``OVER (``) stand on the same lists: some may
also be names of an application's functions, so all of them are looked up in the catalog.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "LANGUAGE",
    "MYSQL",
    "MYSQL_RESERVED",
    "POSTGRES",
    "POSTGRES_COLUMN_NAMES",
    "POSTGRES_IN_TRANSACTION",
    "POSTGRES_RESERVED",
]

# Reserved by PostgreSQL: no function, table or column has such a name without quotes.
_POSTGRES_RESERVED = """
    all analyse analyze and any array as asc asymmetric both case cast check collate column
    constraint create current_catalog current_date current_role current_time current_timestamp
    current_user default deferrable desc distinct do else end except false fetch for foreign
    from grant group having in initially intersect into lateral leading limit localtime
    localtimestamp not null offset on only or order placing primary references returning select
    session_user some symmetric table then to trailing true union unique user using variadic
    when where window with
"""
POSTGRES_RESERVED: Final = frozenset(_POSTGRES_RESERVED.split())

# Words of the language that no function has as its name; tables and columns may.
_POSTGRES_COLUMN_NAMES = """
    between bigint bit boolean char character coalesce dec decimal exists extract float greatest
    grouping int integer interval least nchar none normalize nullif numeric overlay position
    precision real row smallint substring time timestamp treat trim values varchar xmlelement
    xmlforest
"""
POSTGRES_COLUMN_NAMES: Final = frozenset(_POSTGRES_COLUMN_NAMES.split())

# Not reserved, and before a parenthesis mostly words of the language.
_LANGUAGE = """
    by conflict cube filter ilike inner is join left like materialized matched natural over
    overlaps partition recursive right rollup set sets similar tablesample varying within
"""
LANGUAGE: Final = frozenset(_LANGUAGE.split())

_POSTGRES = """
    abs acos age area array_agg array_append array_cat array_dims array_fill array_length
    array_lower array_ndims array_position array_positions array_prepend array_remove
    array_replace array_to_json array_to_string array_to_tsvector array_upper ascii asin atan
    atan2 avg bernoulli bit_and bit_count bit_length bit_or bit_xor bool bool_and bool_or box
    bpchar btrim bytea cardinality cbrt ceil ceiling char_length character_length chr
    clock_timestamp col_description concat concat_ws corr cos cot count covar_pop covar_samp
    cume_dist current_database current_schema current_setting date date_bin date_part date_trunc
    datemultirange daterange decode degrees dense_rank div encode every exp factorial
    first_value float4 float8 floor format format_type gcd gen_random_uuid generate_series
    generate_subscripts get_bit get_byte has_table_privilege hashtext host initcap int2 int4
    int4multirange int4range int8 int8multirange int8range isempty isfinite json_agg
    json_array_elements json_array_elements_text json_array_length json_build_array
    json_build_object json_each json_each_text json_extract_path json_extract_path_text
    json_object json_object_agg json_object_keys json_populate_record json_populate_recordset
    json_strip_nulls json_to_record json_to_recordset json_typeof jsonb_agg jsonb_array_elements
    jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object
    jsonb_concat jsonb_delete jsonb_delete_path jsonb_each jsonb_each_text jsonb_exists
    jsonb_exists_all jsonb_exists_any jsonb_extract_path jsonb_extract_path_text jsonb_insert
    jsonb_object jsonb_object_agg jsonb_object_keys jsonb_path_exists jsonb_path_match
    jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_populate_record
    jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls
    jsonb_to_record jsonb_to_recordset jsonb_typeof justify_days justify_hours justify_interval
    lag last_value lcm lead length ln log log10 lower lower_inc lower_inf lpad ltrim make_date
    make_interval make_time make_timestamp make_timestamptz masklen max md5 min mod mode now
    nth_value ntile num_nonnulls num_nulls nummultirange numrange obj_description octet_length
    parse_ident percent_rank percentile_cont percentile_disc pg_backend_pid pg_column_size
    pg_get_serial_sequence pg_relation_size pg_size_pretty pg_total_relation_size pg_typeof
    phraseto_tsquery pi plainto_tsquery point pow power quote_ident quote_literal quote_nullable
    radians random range_agg range_intersect_agg range_merge rank regexp_count regexp_instr
    regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2
    regr_slope regr_sxx regr_sxy regr_syy repeat replace reverse round row_number row_to_json
    rpad rtrim scale set_bit set_byte setweight sha224 sha256 sha384 sha512 sign sin split_part
    sqrt starts_with statement_timestamp stddev stddev_pop stddev_samp string_agg
    string_to_array string_to_table strip strpos substr sum system tan text timestamptz timetz
    timezone to_char to_date to_hex to_json to_jsonb to_number to_regclass to_regtype
    to_timestamp to_tsquery to_tsvector transaction_timestamp translate trunc ts_delete
    ts_filter ts_headline ts_rank ts_rank_cd tsmultirange tsrange tstzmultirange tstzrange
    tsvector_to_array unnest upper upper_inc upper_inf uuid var_pop var_samp varbit variance
    version websearch_to_tsquery width_bucket xmlagg
"""
POSTGRES: Final = frozenset(_POSTGRES.split())

# These change what ends with the transaction, or make the server wait: a statement that calls one
# is proven, and is not sent behind others.
_POSTGRES_IN_TRANSACTION = """
    pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_current_xact_id pg_notify pg_sleep
    pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared txid_current
"""
POSTGRES_IN_TRANSACTION: Final = frozenset(_POSTGRES_IN_TRANSACTION.split())

# MySQL's and MariaDB's own functions: a stored function of the same name can only be called with
# its schema before it. Words of the language are on the list as well.
_MYSQL = """
    all and any as asc between by case cast char check collate constraint convert cross date
    decimal desc distinct else end except exists extract false from group having if ignore in
    index inner insert int integer intersect interval is join key left like limit match mod not
    null numeric on or order over partition primary regexp replace returning right rlike row
    rows select set signed some straight_join then time timestamp true union unique unsigned use
    using value values varchar when where window with within xor double float binary abs acos
    adddate addtime aes_decrypt aes_encrypt ascii asin atan atan2 avg bin bit_and bit_count
    bit_length bit_or bit_xor ceil ceiling char_length character_length chr coalesce
    coercibility concat concat_ws conv convert_tz cos cot count crc32 curdate current_date
    current_time current_timestamp curtime date_add date_format date_sub datediff day dayname
    dayofmonth dayofweek dayofyear degrees dense_rank elt exp export_set field find_in_set
    first_value floor format from_base64 from_days from_unixtime greatest group_concat hex hour
    ifnull inet6_aton inet6_ntoa inet_aton inet_ntoa instr isnull json_array json_array_append
    json_array_insert json_arrayagg json_compact json_contains json_contains_path json_depth
    json_detailed json_exists json_extract json_insert json_keys json_length json_loose
    json_merge json_merge_patch json_merge_preserve json_object json_objectagg json_overlaps
    json_pretty json_query json_quote json_remove json_replace json_search json_set json_type
    json_unquote json_valid json_value lag last_day last_value lcase lead least length ln
    localtime localtimestamp locate log log10 log2 lower lpad ltrim makedate maketime max md5
    microsecond mid min minute month monthname now nth_value ntile nullif nvl nvl2 oct
    octet_length ord percent_rank percentile_cont percentile_disc period_add period_diff pi
    point pow power quarter quote radians rand rank regexp_instr regexp_replace regexp_substr
    repeat reverse round row_number rpad rtrim sec_to_time second sha sha1 sha2 sign sin space
    sqrt std stddev stddev_pop stddev_samp str_to_date strcmp subdate substr substring
    substring_index subtime sum sysdate tan time_format time_to_sec timediff timestampadd
    timestampdiff to_base64 to_char to_days to_seconds trim truncate ucase unhex unix_timestamp
    upper utc_date utc_time utc_timestamp uuid uuid_short var_pop var_samp variance version week
    weekday weekofyear weight_string year yearweek connection_id current_role current_user
    database schema session_user sleep system_user user default
"""
MYSQL: Final = frozenset(_MYSQL.split())

# Reserved by MySQL and by MariaDB: no table or view has such a name without quotes.
_MYSQL_RESERVED = """
    all and as asc between by case cross delete desc distinct else exists false from group having
    in insert interval into is join key left like limit not null on or order outer regexp replace
    right select set then true union update using values when where with
"""
MYSQL_RESERVED: Final = frozenset(_MYSQL_RESERVED.split())
