#include <errno.h>
#include <unistd.h>

#include "cmd/resolve.h"
#include "test.h"

// A command on which everything is tried. Its keys are those of the real one: files are checked
// against the table of commands.
struct values {
    struct common common;
    const char *store, *note;
    bool exact, json;
    int64_t limit;
    struct text_list in;
};

#define AT(member) offsetof(struct values, member)

static const struct option options[] = {
    {.name = "store",
     .letter = 's',
     .type = OPTION_TEXT,
     .offset = AT(store),
     .value = "URI",
     .fallback = "sqlite:gtap.db",
     .key = "store",
     .shared = true,
     .secrecy = OPTION_URI_SECRET},
    {.name = "exact", .letter = 'e', .type = OPTION_FLAG, .offset = AT(exact), .key = "exact"},
    {.name = "json", .type = OPTION_FLAG, .offset = AT(json)},
    {.name = "limit",
     .letter = 'n',
     .type = OPTION_INT,
     .offset = AT(limit),
     .value = "N",
     .fallback = "5",
     .key = "limit",
     .env = "ROWS",
     .most = 100},
    {.name = "in",
     .letter = 'i',
     .type = OPTION_LIST,
     .offset = AT(in),
     .value = "URI",
     .key = "by"},
    {.name = "note", .type = OPTION_TEXT, .offset = AT(note), .value = "TEXT"},
    {0},
};

static const struct command command = {.name = "report",
                                       .args = "[A] [B]",
                                       .options = options,
                                       .size = sizeof(struct values),
                                       .most_args = 2};

enum { WORDS_MAX = 8, VARIABLES_MAX = 4 };

// "NAME=value" of the case at hand.
static const char *const *variables;

static const char *fake_getenv(const char *name)
{
    for (size_t i = 0; variables && i < VARIABLES_MAX && variables[i]; i++) {
        size_t n = strlen(name);
        if (strncmp(variables[i], name, n) == 0 && variables[i][n] == '=') {
            return variables[i] + n + 1;
        }
    }
    return NULL;
}

// Files that the cases name, in a folder of the test's own.
static char folder[] = "/tmp/gtap-test-resolve-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || chdir(folder) < 0) {
        return -1;
    }
    write_file("empty.conf", "");
    write_file("gtap.conf", "[gtap]\nstore = sqlite:common.db\n\n[report]\nlimit = 7\nby = file:a\n"
                            "by = file:b\n");
    write_file("own.conf", "[gtap]\nstore = sqlite:common.db\n[report]\nstore = sqlite:own.db\n"
                           "exact = yes\n");
    write_file("twice.conf", "[report]\nlimit = 7\nlimit = 8\n");
    write_file("wrong.conf", "[report]\nlimit = many\n");
    write_file("unknown.conf", "[report]\nlimt = 7\n");
    write_file("secret", "mongodb://u:p@h\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"empty.conf", "gtap.conf",    "own.conf", "twice.conf",
                                        "wrong.conf", "unknown.conf", "secret"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        unlink(names[i]);
    }
    return chdir("/") < 0 || rmdir(folder) < 0 ? -1 : 0;
}

struct result {
    struct cli cli;
    struct values v;
    struct error err;
    int r;
};

static void run(struct result *x, const char *const *words, const char *const *env)
{
    size_t n = 0;
    while (n < WORDS_MAX && words[n]) {
        n++;
    }
    *x = (struct result){.cli = {.getenv = fake_getenv}};
    variables = env;
    x->r = resolve(&x->cli, &command, words, n, &x->v, &x->err);
}

// Command line before environment before file before default.
static void test_precedence(void **state)
{
    (void)state;
    static const struct {
        const char *words[WORDS_MAX], *env[VARIABLES_MAX];
        const char *store;
        int64_t limit;
        enum origin origin; // of limit
        const char *where;
    } rows[] = {
        {{"--config=empty.conf"}, {0}, "sqlite:gtap.db", 5, ORIGIN_DEFAULT, NULL},
        {{"--config=gtap.conf"}, {0}, "sqlite:common.db", 7, ORIGIN_FILE, "gtap.conf:5"},
        {{"-c", "gtap.conf"},
         {"GTAP_REPORT_LIMIT=9", "GTAP_STORE=sqlite:env.db"},
         "sqlite:env.db",
         9,
         ORIGIN_ENVIRONMENT,
         "GTAP_REPORT_LIMIT"},
        {{"-c", "gtap.conf", "-n", "11", "--store", "x"},
         {"GTAP_REPORT_LIMIT=9", "GTAP_STORE=y"},
         "x",
         11,
         ORIGIN_COMMAND_LINE,
         "--limit"},
        {{"-c", "gtap.conf", "--limit=0"},
         {0},
         "sqlite:common.db",
         0,
         ORIGIN_COMMAND_LINE,
         "--limit"},
        // A variable of its own name goes before the derived one; an empty one counts as none.
        {{"-c", "empty.conf"},
         {"GTAP_REPORT_LIMIT=9", "ROWS=3"},
         "sqlite:gtap.db",
         3,
         ORIGIN_ENVIRONMENT,
         "ROWS"},
        {{"-c", "empty.conf"},
         {"GTAP_REPORT_LIMIT=9", "ROWS="},
         "sqlite:gtap.db",
         9,
         ORIGIN_ENVIRONMENT,
         "GTAP_REPORT_LIMIT"},
        // The file may be named by a variable; the command's own section goes before [gtap].
        {{NULL}, {"GTAP_CONFIG=gtap.conf"}, "sqlite:common.db", 7, ORIGIN_FILE, "gtap.conf:5"},
        {{"-c", "own.conf"}, {0}, "sqlite:own.db", 5, ORIGIN_DEFAULT, NULL},
        // Said twice, the last one counts.
        {{"-c", "empty.conf", "-n1", "-n2"},
         {0},
         "sqlite:gtap.db",
         2,
         ORIGIN_COMMAND_LINE,
         "--limit"},
        // A secret from a file; the variable itself goes before it.
        {{"-c", "empty.conf"},
         {"GTAP_STORE_FILE=secret"},
         "mongodb://u:p@h",
         5,
         ORIGIN_DEFAULT,
         NULL},
        {{"-c", "empty.conf"},
         {"GTAP_STORE_FILE=secret", "GTAP_STORE=z"},
         "z",
         5,
         ORIGIN_DEFAULT,
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct result x;
        run(&x, rows[i].words, rows[i].env);
        if (x.r < 0) {
            fail_at(__FILE__, __LINE__, "row %zu: %s\n", i, x.err.msg);
        }
        assert_str(str_of(x.v.store), rows[i].store);
        assert_i64(x.v.limit, rows[i].limit);
        const struct given *g = option_given(&x.cli, "limit");
        assert_i64(g->origin, rows[i].origin);
        assert_str(str_of(g->where), rows[i].where);
        arena_done(&x.cli.arena);
    }
}

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *words[WORDS_MAX], *env[VARIABLES_MAX];
        size_t n;
        const char *wants[3];
    } rows[] = {
        {{"-c", "gtap.conf"}, {0}, 2, {"file:a", "file:b"}},
        {{"-c", "gtap.conf", "-i", "c", "--in=d", "-ie"}, {0}, 3, {"c", "d", "e"}},
        {{"-c", "gtap.conf"}, {"GTAP_REPORT_BY= c  d "}, 2, {"c", "d"}},
        {{"-c", "empty.conf"}, {0}, 0, {0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct result x;
        run(&x, rows[i].words, rows[i].env);
        assert_ok(x.r, &x.err);
        assert_i64((int64_t)x.v.in.n, (int64_t)rows[i].n);
        for (size_t k = 0; k < rows[i].n; k++) {
            assert_str(str_of(x.v.in.items[k]), rows[i].wants[k]);
        }
        arena_done(&x.cli.arena);
    }
}

static void test_flags_and_arguments(void **state)
{
    (void)state;
    static const struct {
        const char *words[WORDS_MAX];
        bool exact, json;
        size_t n_args;
        const char *args[2];
    } rows[] = {
        {{"-c", "own.conf"}, true, false, 0, {0}},
        {{"-c", "own.conf", "--no-exact"}, false, false, 0, {0}},
        {{"-c", "own.conf", "--exact=off", "--json"}, false, true, 0, {0}},
        {{"-c", "empty.conf", "-e", "a"}, true, false, 1, {"a"}},
        {{"-c", "empty.conf", "a", "--json", "b"}, false, true, 2, {"a", "b"}},
        {{"-c", "empty.conf", "--", "--json", "-"}, false, false, 2, {"--json", "-"}},
        {{"-c", "empty.conf", "-"}, false, false, 1, {"-"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct result x;
        run(&x, rows[i].words, NULL);
        assert_ok(x.r, &x.err);
        assert_i64(x.v.exact, rows[i].exact);
        assert_i64(x.v.json, rows[i].json);
        assert_i64((int64_t)x.cli.n_args, (int64_t)rows[i].n_args);
        for (size_t k = 0; k < rows[i].n_args; k++) {
            assert_str(str_of(x.cli.args[k]), rows[i].args[k]);
        }
        arena_done(&x.cli.arena);
    }
}

// A message names the place: the option, the variable, or the file's line.
static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *words[WORDS_MAX], *env[VARIABLES_MAX];
        int r;
        const char *message;
    } rows[] = {
        {{"--limt=3"}, {0}, -EINVAL, "unknown option '--limt=3': did you mean --limit?"},
        {{"--zzz"}, {0}, -EINVAL, "unknown option '--zzz'"},
        {{"-z"}, {0}, -EINVAL, "unknown option '-z'"},
        {{"-ez"}, {0}, -EINVAL, "unknown option '-ez'"},
        {{"--no-limit"}, {0}, -EINVAL, "unknown option '--no-limit'"},
        {{"--limit"}, {0}, -EINVAL, "--limit needs a value: --limit N"},
        {{"-n"}, {0}, -EINVAL, "--limit needs a value: --limit N"},
        {{"a", "b", "c"}, {0}, -EINVAL, "unexpected argument 'c'"},
        {{"-c", "empty.conf", "-n", "x"}, {0}, -EINVAL, "--limit: must be a whole number"},
        {{"-c", "empty.conf", "--exact=perhaps"}, {0}, -EINVAL, "--exact: must be yes or no"},
        {{"-c", "empty.conf"}, {"ROWS=x"}, -EINVAL, "ROWS: must be a whole number"},
        {{"-c", "wrong.conf"}, {0}, -EINVAL, "wrong.conf:2: limit: must be a whole number"},
        {{"-c", "twice.conf"}, {0}, -EINVAL, "twice.conf:3: limit is given a second time"},
        {{"-c", "unknown.conf"},
         {0},
         -EINVAL,
         "unknown.conf:2: unknown key 'limt' in [report]: did"},
        {{"-c", "missing.conf"}, {0}, -ENOENT, "missing.conf: No such file or directory"},
        {{NULL}, {"GTAP_CONFIG=missing.conf"}, -ENOENT, "missing.conf: No such file"},
        {{"-c", "empty.conf"},
         {"GTAP_STORE_FILE=missing"},
         -ENOENT,
         "GTAP_STORE_FILE: missing: No such file"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct result x;
        run(&x, rows[i].words, rows[i].env);
        if (x.r != rows[i].r || !str_starts(str_of(x.err.msg), str_of(rows[i].message))) {
            fail_at(__FILE__, __LINE__, "row %zu: %d %s\n", i, x.r, x.err.msg);
        }
        arena_done(&x.cli.arena);
    }
}

// Help is there for who has broken something else: it needs neither arguments nor a good file.
static void test_help_goes_first(void **state)
{
    (void)state;
    static const char *const words[WORDS_MAX] = {"-c", "wrong.conf", "a", "b", "c", "--help"};
    struct result x;
    run(&x, words, NULL);
    assert_i64(x.r, 0);
    assert_true(x.cli.wants_help);
    arena_done(&x.cli.arena);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_precedence), TEST(test_lists),           TEST(test_flags_and_arguments),
        TEST(test_refuses),    TEST(test_help_goes_first),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
