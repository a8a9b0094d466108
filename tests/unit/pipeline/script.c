#include "script.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/decode.h"
#include "test.h"

enum { SCRIPTS_MAX = 8 };

struct script_step {
    struct script_step *next;
    enum batch_change change;
    uint32_t shards[SCRIPT_SHARDS];
    size_t n_shards;
    struct buf lines;
};

static struct script *scripts[SCRIPTS_MAX];
static pthread_mutex_t scripts_lock = PTHREAD_MUTEX_INITIALIZER;

// ---- the test's side -----------------------------------------------------------------------

void script_init(struct script *s, const char *name, uint32_t n_shards)
{
    *s = (struct script){.name = name, .n_shards = n_shards};
    atomic_init(&s->current, true);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_lock(&scripts_lock);
    size_t i = 0;
    while (scripts[i]) {
        i++;
    }
    scripts[i] = s;
    pthread_mutex_unlock(&scripts_lock);
}

static void free_step(struct script_step *step)
{
    buf_done(&step->lines);
    free(step);
}

void script_done(struct script *s)
{
    pthread_mutex_lock(&scripts_lock);
    for (size_t i = 0; i < SCRIPTS_MAX; i++) {
        scripts[i] = scripts[i] == s ? NULL : scripts[i];
    }
    pthread_mutex_unlock(&scripts_lock);
    while (s->first) {
        struct script_step *step = s->first;
        s->first = step->next;
        free_step(step);
    }
    pthread_mutex_destroy(&s->lock);
}

static void append(struct script *s, struct script_step *step, long long positions)
{
    pthread_mutex_lock(&s->lock);
    if (s->first) {
        s->last->next = step;
    } else {
        s->first = step;
    }
    s->last = step;
    atomic_fetch_add(&s->told, positions);
    pthread_mutex_unlock(&s->lock);
}

void script_put(struct script *s, const struct buf *lines)
{
    struct script_step *step = x_zalloc(sizeof(*step));
    long long n = 0;
    buf_init(&step->lines, lines->n + DECODER_PADDING + 1);
    buf_add(&step->lines, lines->p, lines->n);
    if (!buf_reserve(&step->lines, DECODER_PADDING)) {
        abort();
    }
    for (size_t i = 0; i < lines->n; i++) {
        n += lines->p[i] == '\n';
    }
    append(s, step, n);
}

void script_change(struct script *s, enum batch_change change, ...)
{
    struct script_step *step = x_zalloc(sizeof(*step));
    va_list args;
    va_start(args, change);
    for (int shard = va_arg(args, int); shard >= 0; shard = va_arg(args, int)) {
        step->shards[step->n_shards++] = (uint32_t)shard;
    }
    va_end(args);
    step->change = change;
    append(s, step, 1);
}

bool script_answered(const struct script *s)
{
    return atomic_load(&s->answered) >= atomic_load(&s->told);
}

void script_wait(struct script *s)
{
    struct mono until = {clock_mono(&clock_system).ns + TEST_PATIENCE_MS * NS_PER_MS};
    while (!script_answered(s)) {
        if (clock_mono(&clock_system).ns > until.ns) {
            fprintf(stderr, "script %s: %lld of %lld were answered\n", s->name,
                    atomic_load(&s->answered), atomic_load(&s->told));
            abort();
        }
        (void)poll(NULL, 0, 1);
    }
}

// ---- the driver ----------------------------------------------------------------------------

struct script_input {
    struct input base;
    struct script *script;
    struct decoder *decoder;
    struct script_step *step; // being read
    size_t at;
    int64_t position;
};

static struct script_input *of(struct input *in)
{
    return (struct script_input *)in;
}

static struct script *find(struct str name)
{
    struct script *found = NULL;
    pthread_mutex_lock(&scripts_lock);
    for (size_t i = 0; i < SCRIPTS_MAX; i++) {
        if (scripts[i] && str_eq(str_of(scripts[i]->name), name)) {
            found = scripts[i];
        }
    }
    pthread_mutex_unlock(&scripts_lock);
    return found;
}

static int script_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                       struct error *err)
{
    struct script *script = find(uri->path);
    if (!script) {
        return error_set(err, -ENOENT, "there is no such script");
    }
    struct script_input *in = x_zalloc(sizeof(*in));
    in->base = (struct input){.driver = &script_driver, .env = env, .uri = uri};
    in->base.info = (struct input_info){
        .name = script->name, .total = -1, .n_shards = script->n_shards, .keeps_position = true};
    in->script = script;
    in->decoder = decoder_new();
    atomic_store(&script->answered, 0);
    *ret = &in->base;
    return 0;
}

static int script_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    (void)in;
    (void)records;
    (void)offset;
    return error_set(err, -EINVAL, "a script keeps its place itself");
}

static struct script_step *next_step(struct script *s)
{
    pthread_mutex_lock(&s->lock);
    struct script_step *step = s->first;
    if (step) {
        s->first = step->next;
    }
    pthread_mutex_unlock(&s->lock);
    return step;
}

static void add_record(struct script_input *in, struct batch *b, struct str line)
{
    struct record *r = batch_add(b);
    struct error err;
    if (decoder_record(in->decoder, line, &b->arena, r, &err) < 0) {
        fprintf(stderr, "script: %s\n", err.msg);
        abort();
    }
    r->shard = (uint32_t)(r->kind == RECORD_SAMPLE ? r->sample.gpu.index : r->usage.gpus[0]);
    r->position = ++in->position;
}

static void read_lines(struct script_input *in, struct batch *b)
{
    struct str rest = {in->step->lines.p + in->at, in->step->lines.n - in->at}, line;
    while (b->n_records < BATCH_RECORDS && rest.n > 0 && str_split(&rest, '\n', &line)) {
        add_record(in, b, line);
    }
    in->at = in->step->lines.n - rest.n;
    if (rest.n == 0) {
        free_step(TAKE_PTR(in->step));
    }
}

static void say_change(struct script_input *in, struct batch *b)
{
    struct script_step *step = TAKE_PTR(in->step);
    b->change = step->change;
    b->n_shards = step->n_shards;
    b->shards = arena_alloc(&b->arena, sizeof(step->shards));
    memcpy(b->shards, step->shards, sizeof(step->shards));
    in->position++;
    free_step(step);
}

static int script_next(struct input *base, struct batch *b, struct error *err)
{
    struct script_input *in = of(base);
    (void)err;
    if (!in->step) {
        in->step = next_step(in->script);
        in->at = 0;
    }
    if (!in->step) {
        (void)poll(NULL, 0, 1);
    } else if (in->step->change != SHARDS_SAME) {
        say_change(in, b);
    } else {
        read_lines(in, b);
    }
    b->position = in->position;
    return INPUT_MORE;
}

static void script_stored(struct input *in, int64_t position)
{
    atomic_llong *answered = &of(in)->script->answered;
    if (position < atomic_load(answered)) {
        fprintf(stderr, "script: an answer goes back\n");
        abort();
    }
    atomic_store(answered, position);
}

static bool script_current(const struct input *in)
{
    return atomic_load(&((const struct script_input *)in)->script->current);
}

static unsigned script_behind(const struct input *in, uint32_t shard)
{
    return atomic_load(&((const struct script_input *)in)->script->behind[shard]);
}

static void script_idle(struct input *in)
{
    atomic_fetch_add(&of(in)->script->idle, 1);
}

static void script_close(struct input *base)
{
    struct script_input *in = of(base);
    if (in->step) {
        free_step(in->step);
    }
    decoder_free(in->decoder);
    free(in);
}

static const struct input_option no_options[] = {{0}};

const struct input_driver script_driver = {
    .scheme = "script",
    .synopsis = "script:NAME",
    .help = "what a test says",
    .options = no_options,
    .open = script_open,
    .seek = script_seek,
    .next = script_next,
    .stored = script_stored,
    .current = script_current,
    .behind = script_behind,
    .idle = script_idle,
    .close = script_close,
};
