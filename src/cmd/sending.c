#include "cmd/sending.h"

#include <errno.h>
#include <unistd.h>

#include "base/decimal.h"
#include "output/spool/spool.h"

#define GATHER_NS (500 * NS_PER_MS) // a GPU's samples come once a second

int size_parse(struct str text, int64_t *ret)
{
    static const char units[] = "KMGT";
    int64_t factor = 1, n;
    text = str_trim(text);
    if (text.n > 2 && str_ends(text, STR("iB"))) {
        text.n -= 2;
    }
    const char *unit = text.n > 0 ? memchr(units, text.p[text.n - 1], sizeof(units) - 1) : NULL;
    if (unit) {
        factor = INT64_C(1) << (10 * (unit - units + 1));
        text.n--;
    }
    if (decimal_parse(text, 0, &n) < 0 || n < 0 || __builtin_mul_overflow(n, factor, ret)) {
        return -EINVAL;
    }
    return 0;
}

// NULL: none. The service manager's folder is made by it; one of our own only where it is there.
static const char *spool_dir(struct cli *cli, const struct sending_options *o)
{
    const char *state = cli->getenv("STATE_DIRECTORY");
    if (o->spool) {
        return *o->spool ? o->spool : NULL;
    }
    if (state && *state && !strchr(state, ':')) {
        struct buf path;
        buf_init(&path, CONFIG_LINE_MAX);
        buf_printf(&path, "%s/spool", state);
        const char *text = arena_copy(&cli->arena, buf_view(&path)).p;
        buf_done(&path);
        return text;
    }
    return access(SPOOL_DEFAULT, W_OK | X_OK) == 0 ? SPOOL_DEFAULT : NULL;
}

static int set_spool(struct cli *cli, const struct sending_options *o, struct run_config *c)
{
    c->spool_dir = spool_dir(cli, o);
    if (size_parse(str_of(o->spool_max), &c->spool_limit) < 0 || c->spool_limit < SPOOL_LIMIT_MIN) {
        return cli_misuse(cli,
                          "--spool-max: must be a size like 512M or 4G, 64K at least, not '%s'",
                          o->spool_max);
    }
    if (!c->spool_dir) {
        cli_note(cli, o->spool ? "without a spool: what Kafka does not take within seconds is "
                                 "refused, or dropped where nobody waits for it"
                               : "no spool, as there is no " SPOOL_DEFAULT ": what Kafka does not "
                                 "take within seconds is refused, or dropped where nobody waits "
                                 "for it; --spool DIR keeps it");
    }
    return 0;
}

int send_records(struct cli *cli, const struct sending *s, const char *const *inputs,
                 size_t n_inputs)
{
    struct buf uri;
    struct kafka_settings settings;
    struct run_config c = {.inputs = inputs, .n_inputs = n_inputs, .gather_ns = GATHER_NS};
    buf_init(&uri, CONFIG_LINE_MAX);
    int status = kafka_options_uri(cli, s->kafka, &uri);
    if (status == 0) {
        status = set_spool(cli, s->own, &c);
    }
    if (status == 0) {
        status = kafka_options_settings(cli, s->kafka, &settings);
    }
    if (status != 0) {
        buf_done(&uri);
        return status;
    }
    c.output = arena_copy(&cli->arena, buf_view(&uri)).p;
    c.env.kafka = &settings;
    status = run_and_report(cli, &c, &(struct run_options){s->serving, s->own->json});
    kafka_settings_done(&settings);
    buf_done(&uri);
    return status;
}
