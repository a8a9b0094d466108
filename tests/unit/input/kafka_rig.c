#include "kafka_rig.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "kafka/client.h"

enum { NOTES_LIMIT = 1 << 28, VALUE_MAX = 512 };

#define START INT64_C(1795442400) // 2026-11-23T14:00:00Z

// ---- the cluster -------------------------------------------------------------------------------

static void conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
        fail_msg("%s", text);
    }
}

static void no_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

void rig_open(struct rig *r, int n_partitions)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    conf_set(conf, "test.mock.num.brokers", "3");
    conf_set(conf, "linger.ms", "5");
    conf_set(conf, "queue.buffering.max.messages", "1000000");
    conf_set(conf, "batch.num.messages", "10000");
    conf_set(conf, "compression.codec", "lz4");
    conf_set(conf, "reconnect.backoff.max.ms", "200");
    rd_kafka_conf_set_log_cb(conf, no_log);
    *r = (struct rig){.n_partitions = n_partitions};
    r->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    assert_non_null(r->host);
    r->mock = rd_kafka_handle_mock_cluster(r->host);
    assert_non_null(r->mock);
    assert_i64(rd_kafka_mock_topic_create(r->mock, "gpu", n_partitions, 1), 0);
    assert_i64(rd_kafka_mock_topic_create(r->mock, "tok", n_partitions, 1), 0);
}

void rig_close(struct rig *r)
{
    rd_kafka_destroy(r->host);
    arena_done(&r->arena);
}

void rig_send(struct rig *r, const char *topic, int partition, const char *key, struct str value)
{
    rd_kafka_resp_err_t e =
        rd_kafka_producev(r->host, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_KEY((void *)(uintptr_t)key, key ? strlen(key) : 0),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    assert_i64(e, 0);
    r->produced++;
}

void rig_flush(struct rig *r)
{
    assert_i64(rd_kafka_flush(r->host, TEST_PATIENCE_MS), 0);
}

void rig_put(struct rig *r, const char *topic, int partition, const char *key, const char *value)
{
    rig_send(r, topic, partition, key, str_of(value));
    rig_flush(r);
}

const char *rig_host(const struct rig *r, int partition)
{
    static char name[32];
    int i = 0;
    do {
        snprintf(name, sizeof(name), "host-%d", i++);
    } while (kafka_partition_of(str_of(name), r->n_partitions) != partition);
    return name;
}

void rig_put_usage(struct rig *r, int partition, int n, int from)
{
    const char *host = rig_host(r, partition);
    for (int i = 0; i < n; i++) {
        char text[VALUE_MAX];
        int len = snprintf(text, sizeof(text),
                           "{\"ts\":%lld,\"model\":\"m\",\"host\":\"%s\",\"gpu_index\":0,"
                           "\"prompt_tokens\":10,\"completion_tokens\":5,\"latency_ms\":900}",
                           (long long)START + from + i, host);
        rig_send(r, "tok", partition, host, (struct str){text, (size_t)len});
    }
    rig_flush(r);
}

void rig_put_samples(struct rig *r, int partition, int n, int from)
{
    const char *host = rig_host(r, partition);
    for (int i = 0; i < n; i++) {
        char text[VALUE_MAX];
        int len = snprintf(text, sizeof(text),
                           "{\"ts\":%lld,\"host\":\"%s\",\"gpu_index\":0,\"utilization\":0.5,"
                           "\"power_w\":300}",
                           (long long)START + from + i, host);
        rig_send(r, "gpu", partition, host, (struct str){text, (size_t)len});
    }
    rig_flush(r);
}

int64_t rig_committed(struct rig *r, const char *topic, int partition)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    conf_set(conf, "group.id", "g");
    conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(r->mock));
    rd_kafka_conf_set_log_cb(conf, no_log);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    assert_non_null(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    assert_i64(rd_kafka_committed(rk, list, TEST_PATIENCE_MS), 0);
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return offset >= 0 ? offset : -1;
}

// ---- a member ----------------------------------------------------------------------------------

static int64_t hasty_wall(const struct clock *c)
{
    (void)c;
    return clock_wall(&clock_system);
}

static struct mono hasty_mono(const struct clock *c)
{
    (void)c;
    return (struct mono){clock_mono(&clock_system).ns * RIG_HASTE};
}

const struct clock rig_clock = {hasty_wall, hasty_mono};

static const char *no_variable(const char *name)
{
    (void)name;
    return NULL;
}

int member_try(struct member *m, struct rig *r, const char *uri)
{
    *m = (struct member){.rig = r, .result = INPUT_MORE};
    m->env = (struct input_env){
        .clock = &rig_clock,
        .now_start = clock_wall(&clock_system),
        .stop_fd = eventfd(0, EFD_CLOEXEC),
        .getenv = no_variable,
    };
    assert_true(m->env.stop_fd >= 0);
    batch_init(&m->b);
    buf_init(&m->notes, NOTES_LIMIT);
    m->seen = x_array((size_t)RIG_TOPICS * RIG_PARTITIONS_MAX * RIG_OFFSETS_MAX, 1);
    int result = uri_parse(&r->arena, str_of(uri), &m->uri, &m->err);
    return result < 0 ? result : input_open(&m->uri, &m->env, &m->in, &m->err);
}

void member_open(struct member *m, struct rig *r, const char *options)
{
    AUTO_FREE char *uri = x_asprintf(
        "kafka://%s/gpu,tok?%s%sproperty.session.timeout.ms=4000&property.fetch.wait.max.ms=10"
        "&property.reconnect.backoff.max.ms=200&property.heartbeat.interval.ms=300%s%s",
        rd_kafka_mock_cluster_bootstraps(r->mock), strstr(options, "group=") ? "" : "group=g", "&",
        *options ? "&" : "", options);
    int result = member_try(m, r, uri);
    assert_ok(result, &m->err);
}

void member_close(struct member *m)
{
    input_close(m->in);
    close(m->env.stop_fd);
    batch_done(&m->b);
    buf_done(&m->notes);
    free(m->seen);
}

void member_store(struct member *m, int64_t position)
{
    input_stored(m->in, position);
}

static uint8_t *cell(struct member *m, int topic, int partition, int64_t offset)
{
    assert_true(offset >= 0 && offset < RIG_OFFSETS_MAX && partition < RIG_PARTITIONS_MAX);
    return &m->seen[((size_t)topic * RIG_PARTITIONS_MAX + (size_t)partition) * RIG_OFFSETS_MAX +
                    (size_t)offset];
}

int member_times(struct member *m, int topic, int partition, int64_t offset)
{
    return *cell(m, topic, partition, offset);
}

static void note_change(struct member *m)
{
    static const char *const names[] = {"", "taken", "left", "lost"};
    if (m->b.change == SHARDS_SAME) {
        return;
    }
    assert_i64((int64_t)(m->b.n_records + m->b.n_dead), 0);
    buf_cstr(&m->notes, names[m->b.change]);
    for (size_t i = 0; i < m->b.n_shards; i++) {
        bool takes = m->b.change == SHARDS_TAKEN;
        assert_true(takes != m->owns[m->b.shards[i]] || m->b.change == SHARDS_LOST);
        m->owns[m->b.shards[i]] = takes;
        buf_printf(&m->notes, " %u", m->b.shards[i]);
    }
    buf_char(&m->notes, '\n');
    m->taken += m->b.change == SHARDS_TAKEN;
    m->left += m->b.change == SHARDS_LEFT;
    m->lost += m->b.change == SHARDS_LOST;
}

static void note_record(struct member *m, const struct record *r, struct str payload)
{
    int topic = str_starts(r->event_id, STR("tok/")), partition;
    long long offset;
    assert_true(m->owns[r->shard]); // never of a shard that is not owned
    assert_true(payload.n > 0 && payload.p[0] == '{');
    if (m->n_records < 1000) {
        buf_printf(&m->notes, "record " STR_FMT " shard %u host " STR_FMT "\n",
                   STR_ARG(r->event_id), r->shard, STR_ARG(record_host(r)));
    }
    if (r->event_id.n > 4 && r->event_id.p[3] == '/' &&
        sscanf(r->event_id.p + 4, "%d/%lld", &partition, &offset) == 2) {
        ++*cell(m, topic, partition, offset);
    }
}

// A store knows a letter that comes again, after a crash say, by where it stood.
static void check_place(const struct dead_letter *d)
{
    AUTO_FREE char *end = x_asprintf("/%lld", (long long)d->position);
    assert_true(str_ends(d->origin, str_of(end)));
}

static void note_batch(struct member *m)
{
    int64_t last = m->position;
    note_change(m);
    for (size_t i = 0; i < m->b.n_records; i++) {
        assert_true(m->b.records[i].position > last);
        last = m->b.records[i].position;
        note_record(m, &m->b.records[i], m->b.payloads[i]);
        m->n_records++;
    }
    for (size_t i = 0; i < m->b.n_dead; i++) {
        const struct dead_letter *d = &m->b.dead[i];
        check_place(d);
        buf_printf(&m->notes, "dead " STR_FMT ": " STR_FMT "\n", STR_ARG(d->origin),
                   STR_ARG(d->reason));
        m->n_dead++;
    }
    assert_i64(m->b.position - m->position,
               (int64_t)(m->b.n_records + m->b.n_dead) + (m->b.change != SHARDS_SAME));
    m->position = m->b.position;
}

void member_step(struct member *m)
{
    batch_clear(&m->b);
    m->result = input_next(m->in, &m->b, &m->err);
    note_batch(m);
    if (!m->holds) {
        input_stored(m->in, m->position);
    }
}

int member_count(const struct member *m, const char *text)
{
    int n = 0;
    struct str rest = buf_view(&m->notes);
    for (struct str line; str_split(&rest, '\n', &line);) {
        n += line.n > 0 && memmem(line.p, line.n, text, strlen(text)) != NULL;
    }
    return n;
}

int member_owned(const struct member *m)
{
    int n = 0;
    for (int i = 0; i < RIG_PARTITIONS_MAX; i++) {
        n += m->owns[i];
    }
    return n;
}

double member_metric(const struct member *m, const char *name, const char *label)
{
    struct metric_list list = {0};
    double sum = 0;
    input_metrics(m->in, &list);
    for (size_t i = 0; i < list.n; i++) {
        bool labelled = !label || strcmp(list.v[i].value[0], label) == 0;
        if (labelled && strcmp(list.v[i].def->name, name) == 0) {
            sum += list.v[i].number;
        }
    }
    metric_list_done(&list);
    return sum;
}
