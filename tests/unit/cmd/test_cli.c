#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cli.h"
#include "test.h"

static const char *fake_getenv(const char *name)
{
    return strcmp(name, "GTAP_CONFIG") == 0 ? "/dev/null" : NULL;
}

enum { WORDS_MAX = 6 };

struct outcome {
    int status;
    char *out, *err;
    size_t n_out, n_err;
};

static void run_into(struct outcome *x, FILE *out, const char *const *words)
{
    char *argv[WORDS_MAX + 2] = {0};
    char name[] = "gtap";
    int n = 1;
    argv[0] = name;
    for (; n <= WORDS_MAX && words[n - 1]; n++) {
        argv[n] = strdup(words[n - 1]);
    }
    FILE *err = open_memstream(&x->err, &x->n_err);
    struct cli cli = {.out = out, .err = err, .getenv = fake_getenv, .clock = &clock_system};
    x->status = cli_main(&cli, n, argv);
    fclose(err);
    while (--n > 0) {
        free(argv[n]);
    }
}

static struct outcome run(const char *const *words)
{
    struct outcome x = {0};
    FILE *out = open_memstream(&x.out, &x.n_out);
    run_into(&x, out, words);
    fclose(out);
    return x;
}

static void done(struct outcome *x)
{
    free(x->out);
    free(x->err);
}

// Status, and how what is said begins on either side; "" is nothing at all.
static void test_outcomes(void **state)
{
    (void)state;
    static const struct {
        const char *words[WORDS_MAX];
        int status;
        const char *out, *err;
    } rows[] = {
        {{NULL}, 2, "", "gtap meters what"},
        {{"--help"}, 0, "gtap meters what", ""},
        {{"-h"}, 0, "gtap meters what", ""},
        {{"help"}, 0, "gtap meters what", ""},
        {{"help", "report"}, 0, "gtap report: what tokens cost", ""},
        {{"help", "price", "add"}, 0, "gtap price add: say what", ""},
        {{"help", "price"},
         0,
         "usage: gtap price COMMAND [options]\n\ncommands:\n  price list ",
         ""},
        {{"price", "--help"}, 0, "usage: gtap price COMMAND", ""},
        {{"price"}, 2, "", "usage: gtap price COMMAND"},
        {{"price", "lst"},
         2,
         "",
         "gtap: unknown command 'price lst': did you mean gtap price list?"
         "\n      See: gtap help\n"},
        {{"help", "prise"}, 2, "", "gtap: unknown command 'prise': did you mean gtap price?"},
        {{"help", "price", "lst"}, 2, "", "gtap: unknown command 'price lst': did you mean"},
        {{"help", "report", "x"}, 2, "", "gtap: 'gtap report' is the whole command: unexpected"},
        {{"reprot"}, 2, "", "gtap: unknown command 'reprot': did you mean gtap report?"},
        {{"qqqq"}, 2, "", "gtap: unknown command 'qqqq'\n      See: gtap help\n"},
        {{"--qqqq"}, 2, "", "gtap: unknown command '--qqqq'\n      See: gtap help\n"},
        {{"report", "--help"}, 0, "gtap report: what tokens cost", ""},
        {{"price", "add", "-h"}, 0, "gtap price add: say what", ""},
        {{"report", "--bj", "x"},
         2,
         "",
         "gtap: unknown option '--bj': did you mean --by?\n      "
         "See: gtap report --help\n"},
        {{"report", "--by", "x"}, 2, "", "gtap: --by: cannot group by 'x': choose from"},
        {{"report", "--since", "2d", "--until", "3d"}, 2, "", "gtap: --since must be before"},
        {{"report", "--tz", "Mars"}, 2, "", "gtap: --tz: 'Mars' is no time zone"},
        {{"report", "--tz", "Europe"}, 2, "", "gtap: --tz: 'Europe' is no time zone"},
        {{"report", "--tz", "zone.tab"}, 2, "", "gtap: --tz: 'zone.tab' is no time zone"},
        {{"report", "--tz", "../zoneinfo/UTC"}, 2, "", "gtap: --tz: '../zoneinfo/UTC' is no"},
        {{"report", "--tz", ""}, 2, "", "gtap: --tz: '' is no time zone"},
        {{"report", "--store", "sqlite:/nowhere/x.db"}, 3, "", "gtap: sqlite:/nowhere/x.db: "},
        {{"recompute", "--store", "sqlite:/nowhere/x.db"}, 3, "", "gtap: sqlite:/nowhere/x.db: "},
        {{"verify", "--store", "sqlite:/nowhere/x.db"}, 3, "", "gtap: sqlite:/nowhere/x.db: "},
        {{"export", "token_usge"},
         2,
         "",
         "gtap: there is no collection 'token_usge'; did you mean "
         "token_usage: choose from"},
        {{"export", "gpus", "--since", "1d"}, 2, "", "gtap: --since and --until do not apply to"},
        {{"export", "gpus", "--where", "late"}, 2, "", "gtap: --where does not apply to gpus"},
        {{"export", "gpus", "--level", "day"}, 2, "", "gtap: --level does not apply to gpus"},
        {{"export"}, 2, "", "gtap: expected COLLECTION"},
        {{"run"}, 2, "", "gtap: there is no input"},
        {{"run", "--in", "x", "--weights", "1"}, 2, "", "gtap: --weights: must be IN:OUT"},
        {{"docs", "x"}, 2, "", "gtap: there is no form 'x'"},
        {{"price", "add", "x", "dear"}, 2, "", "gtap: the price must be an amount in USD"},
        {{"price", "add", "", "1"}, 2, "", "gtap: name: must have"},
        {{"price", "import", "/nowhere/x"}, 3, "", "gtap: /nowhere/x: No such file"},
        {{"config", "price"}, 0, "configuration file: /dev/null\n", ""},
        {{"config", "price", "add"}, 0, "configuration file: /dev/null\n", ""},
        {{"config", "pric"}, 2, "", "gtap: unknown command 'pric': did you mean gtap price?"},
        {{"version"}, 0, "gtap ", ""},
        {{"--version"}, 0, "gtap ", ""},
        {{"--version", "--json"}, 0, "{\"version\":\"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct outcome x = run(rows[i].words);
        struct str out = str_of(rows[i].out), err = str_of(rows[i].err);
        bool good = x.status == rows[i].status && str_starts(str_of(x.out), out) &&
                    str_starts(str_of(x.err), err) && (out.n > 0 || x.n_out == 0) &&
                    (err.n > 0 || x.n_err == 0);
        if (!good) {
            fail_at(__FILE__, __LINE__, "row %zu: status %d, out '%s', err '%s'\n", i, x.status,
                    x.out, x.err);
        }
        done(&x);
    }
}

// Recomputing nothing must not leave a store behind.
static void test_no_store_is_made(void **state)
{
    (void)state;
    char folder[] = "/tmp/gtap-test-cli-XXXXXX", path[64], uri[80];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/x.db", folder);
    snprintf(uri, sizeof(uri), "sqlite:%s", path);
    static const char *const words[] = {"report", "verify", "recompute", "price list"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const char *first = i == 3 ? "price" : words[i], *second = i == 3 ? "list" : "--no-json";
        struct outcome x = run((const char *const[]){first, second, "--store", uri, NULL});
        struct stat st;
        assert_i64(x.status, EXIT_COULD_NOT);
        assert_i64(stat(path, &st), -1);
        done(&x);
    }
    assert_i64(rmdir(folder), 0);
}

// Help of every command fits a usual terminal and says every option.
static void test_help(void **state)
{
    (void)state;
    for (size_t i = 0; commands[i]; i++) {
        struct str name = str_of(commands[i]->name), first;
        char words[2][32] = {{0}};
        (void)str_split(&name, ' ', &first);
        snprintf(words[0], sizeof(words[0]), STR_FMT, STR_ARG(first));
        snprintf(words[1], sizeof(words[1]), STR_FMT, STR_ARG(name));
        struct outcome x = run((const char *const[]){
            words[0], str_present(name) ? words[1] : "--help", "--help", NULL});
        assert_i64(x.status, 0);
        const struct option *o;
        for (size_t k = 0; (o = option_at(commands[i], k)) != NULL; k++) {
            assert_non_null(strstr(x.out, o->name));
        }
        struct str text = str_of(x.out), line;
        const char *examples = strstr(x.out, "\nexamples:\n");
        while (str_split(&text, '\n', &line) && (examples == NULL || line.p < examples)) {
            if (line.n > 80) {
                fail_at(__FILE__, __LINE__, "%s: '" STR_FMT "'\n", commands[i]->name,
                        STR_ARG(line));
            }
        }
        done(&x);
    }
}

// An answer that did not reach its reader is no answer; one who has stopped reading knows.
static void test_output(void **state)
{
    (void)state;
    struct outcome x = {0};
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    run_into(&x, full, (const char *const[]){"help", NULL});
    assert_i64(x.status, EXIT_COULD_NOT);
    assert_str(str_of(x.err), "gtap: standard output: No space left on device\n");
    done(&x);
    fclose(full);

    int ends[2];
    struct outcome y = {0};
    assert_i64(pipe(ends), 0);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    FILE *closed = fdopen(ends[1], "w");
    run_into(&y, closed, (const char *const[]){"help", NULL});
    assert_i64(y.status, EXIT_COULD_NOT);
    assert_i64((int64_t)y.n_err, 0);
    done(&y);
    fclose(closed);
}

int main(void)
{
    return TEST_RUN(TEST(test_outcomes), TEST(test_no_store_is_made), TEST(test_help),
                    TEST(test_output));
}
