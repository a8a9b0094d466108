#include "cmd/price.h"
#include "cmd/price_file.h"
#include "cmd/read_file.h"
#include "cmd/shared_options.h"
#include "report/digits.h"
#include "report/json.h"

enum { ANSWER_MAX = 8192 };

struct options {
    struct common common;
    const char *store;
    bool dry_run, json;
};

static const struct option options[] = {
    OPTION_STORE(struct options, "the store whose price book it is"),
    {.name = "dry-run",
     .type = OPTION_FLAG,
     .offset = offsetof(struct options, dry_run),
     .help = "only check the file"},
    OPTION_JSON(struct options),
    {0},
};

static int add_all(struct cli *cli, struct store *store, const struct price_book *list)
{
    struct error err = {0};
    for (size_t i = 0; i < list->n; i++) {
        struct price_entry e = list->entries[i];
        e.added_at = cli_now(cli);
        if (store_add_price(store, &e, &e.id, &err) < 0) {
            int status = cli_fail(cli, &err);
            cli_advise(cli,
                       "The first %zu of %zu prices were added. Adding a price again does no "
                       "harm: run it again.",
                       i, list->n);
            return status;
        }
    }
    return 0;
}

static int answer(struct cli *cli, const struct options *o, size_t n)
{
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    if (o->json) {
        struct json j = {.b = &b};
        json_open(&j, NULL, '{');
        json_int(&j, "prices", (i128)n);
        json_bool(&j, "added", !o->dry_run);
        json_close(&j, '}');
        buf_char(&b, '\n');
    } else {
        digits_count(&b, (int64_t)n, "price");
        buf_cstr(&b, n == 1 ? " is" : " are");
        buf_cstr(&b, o->dry_run ? " in order (dry run: nothing was added).\n" : " added.\n");
    }
    return cli_print(cli, &b);
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    const char *path = cli->args[0];
    AUTO_STORE struct store *store = NULL;
    struct error err = {0};
    struct price_book list;
    struct str text;
    if (read_file(path, PRICE_FILE_MAX, &cli->arena, &text, &err) < 0) {
        return cli_fail(cli, &err);
    }
    if (price_file_parse(text, &cli->arena, &list, &err) < 0) {
        (void)error_prefix(&err, "%s", path);
        (void)cli_fail(cli, &err);
        return EXIT_COULD_NOT;
    }
    int status = o->dry_run ? 0 : cli_open(cli, o->store, STORE_ADMIN, &store);
    status = status || o->dry_run ? status : add_all(cli, store, &list);
    status = status ? status : answer(cli, o, list.n);
    if (status != 0 || o->dry_run || o->json) {
        return status;
    }
    return price_explain(cli, store, o->store, list.entries, list.n, &zone_utc);
}

const struct command command_price_import = {
    .name = "price import",
    .args = "FILE",
    .summary = "add prices from a CSV or NDJSON file",
    .about =
        "CSV needs a header with name, price_per_hour_usd and effective_from; site and source "
        "may be there.\nNDJSON has the same fields. FILE - is standard input. The whole file is "
        "checked before anything\nis added.",
    .examples = "gtap price import prices.csv\n"
                "gtap export price_book --store sqlite:old.db | gtap price import -",
    .options = options,
    .size = sizeof(struct options),
    .least_args = 1,
    .most_args = 1,
    .run = run,
};
