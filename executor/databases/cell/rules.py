"""What SQL may do: what no table here names is refused.

Inside the wall nothing but the database can be reached; these rules keep it whole, and keep what
one request does from the next.
"""

import sqlite3

from cloister.databases import (
    COLUMNS,
    FUNCTION_ARGUMENTS,
    LIKE_PATTERN_BYTES,
    PARAMETERS,
    ROW_BYTES,
    STATEMENT_BYTES,
)

LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: ROW_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: STATEMENT_BYTES,
    sqlite3.SQLITE_LIMIT_COLUMN: COLUMNS,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: PARAMETERS,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: FUNCTION_ARGUMENTS,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: LIKE_PATTERN_BYTES,
    # What SQLite's authors advise for SQL of strangers, or near it.
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}

READING_PRAGMAS = frozenset(
    {
        *("data_version", "foreign_key_check", "foreign_key_list", "index_info", "index_list"),
        *("index_xinfo", "quick_check", "table_info", "table_list", "table_xinfo"),
    }
)

SETTING_PRAGMAS = {
    "case_sensitive_like": False,
    "ignore_check_constraints": False,
    "legacy_alter_table": False,
    "recursive_triggers": False,
    "reverse_unordered_selects": False,
}
"""With what they are again when the request is over."""

OTHER_PRAGMAS = frozenset(
    {
        "defer_foreign_keys",  # over with the transaction
        "foreign_keys",  # read; within a transaction, SQLite sets it for nobody
        "optimize",
    }
)

PRAGMAS = READING_PRAGMAS | OTHER_PRAGMAS | SETTING_PRAGMAS.keys()

SCHEMA = frozenset(
    {
        sqlite3.SQLITE_ALTER_TABLE,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_TRIGGER,
        sqlite3.SQLITE_CREATE_VIEW,
        sqlite3.SQLITE_CREATE_VTABLE,
        sqlite3.SQLITE_DROP_INDEX,
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_DROP_TRIGGER,
        sqlite3.SQLITE_DROP_VIEW,
        sqlite3.SQLITE_DROP_VTABLE,
        sqlite3.SQLITE_ANALYZE,
        sqlite3.SQLITE_REINDEX,
    }
)
"""What changes the schema, or what SQLite keeps beside it."""

ACTIONS = SCHEMA | {
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_UPDATE,
}
"""Left out: ATTACH and DETACH (VACUUM attaches too), what is temporary, and COMMIT, ROLLBACK and
SAVEPOINT, as each request is one transaction. Pragmas, functions and modules are looked up."""

MODULES = frozenset({"fts5", "fts5vocab"})
"""Of virtual tables that may be made."""

HIDDEN_TABLES = frozenset({"bytecode", "dbstat", "sqlite_dbpage", "sqlite_stmt", "tables_used"})
"""Tables that some builds of SQLite have, about its own insides."""

FUNCTIONS = frozenset(
    {
        *("abs", "changes", "char", "coalesce", "concat", "concat_ws", "format", "glob", "hex"),
        *("if", "ifnull", "iif", "instr", "last_insert_rowid", "length", "like", "likelihood"),
        *("likely", "lower", "ltrim", "max", "min", "nullif", "octet_length", "printf", "quote"),
        *("random", "randomblob", "replace", "round", "rtrim", "sign", "soundex", "substr"),
        *("substring", "total_changes", "trim", "typeof", "unhex", "unicode", "unistr"),
        *("unistr_quote", "unlikely", "upper", "zeroblob"),
        # aggregates and windows
        *("avg", "count", "group_concat", "median", "percentile", "percentile_cont"),
        *("percentile_disc", "string_agg", "sum", "total"),
        *("cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "nth_value"),
        *("ntile", "percent_rank", "rank", "row_number"),
        # dates
        *("current_date", "current_time", "current_timestamp", "date", "datetime", "julianday"),
        *("strftime", "time", "timediff", "unixepoch"),
        # mathematics
        *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "ceiling", "cos"),
        *("cosh", "degrees", "exp", "floor", "ln", "log", "log10", "log2", "mod", "pi", "pow"),
        *("power", "radians", "sin", "sinh", "sqrt", "tan", "tanh", "trunc"),
        # JSON
        *("json", "json_array", "json_array_length", "json_each", "json_error_position"),
        *("json_extract", "json_group_array", "json_group_object", "json_insert", "json_object"),
        *("json_patch", "json_pretty", "json_quote", "json_remove", "json_replace", "json_set"),
        *("json_tree", "json_type", "json_valid", "jsonb", "jsonb_array", "jsonb_extract"),
        *("jsonb_group_array", "jsonb_group_object", "jsonb_insert", "jsonb_object"),
        *("jsonb_patch", "jsonb_remove", "jsonb_replace", "jsonb_set", "->", "->>"),
        # full-text search
        *("bm25", "highlight", "snippet", "match", "regexp"),
        # what ALTER TABLE calls
        *("sqlite_drop_column", "sqlite_fail", "sqlite_rename_column", "sqlite_rename_quotefix"),
        *("sqlite_rename_table", "sqlite_rename_test"),
    }
)
"""Left out, among those that some builds have: load_extension, fts3_tokenizer (it takes a pointer),
readfile and writefile, edit, the insides of rtree and fts5, and what tells of the build."""


def allows(action: int, first: str | None, second: str | None) -> bool:
    """Whether SQL may do this. The arguments are those of SQLite's authorizer."""
    match action:
        case sqlite3.SQLITE_PRAGMA:
            return (first or "").lower() in PRAGMAS
        case sqlite3.SQLITE_FUNCTION:
            return (second or "").lower() in FUNCTIONS
        case sqlite3.SQLITE_CREATE_VTABLE:
            return (second or "").lower() in MODULES
        case sqlite3.SQLITE_TRANSACTION:
            return first == "BEGIN"  # SQLite itself refuses one within ours, in known words
        case sqlite3.SQLITE_READ:
            return (first or "").lower() not in HIDDEN_TABLES
        case _:
            return action in ACTIONS
