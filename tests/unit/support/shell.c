#include "shell.h"

#include "base/alloc.h"
#include "base/buf.h"

struct fake fake;
mongoc_client_t *client;
mongoc_collection_t *coll;

static const char *program;

void insert_json(const char *json)
{
    bson_error_t err;
    bson_t *d = from_json(json);
    if (!mongoc_collection_insert_one(coll, d, NULL, NULL, &err)) {
        fail_at(__FILE__, __LINE__, "%s: %s\n", json, err.message);
    }
    bson_destroy(d);
}

char *command(const char *json, bool may_fail)
{
    bson_error_t err;
    bson_t reply, *cmd = from_json(json);
    bool good = mongoc_client_command_simple(client, "db", cmd, NULL, &reply, &err);
    if (!good && !may_fail) {
        fail_at(__FILE__, __LINE__, "%s: %s\n", json, err.message);
    }
    char *text = bson_as_relaxed_extended_json(&reply, NULL);
    bson_destroy(&reply);
    bson_destroy(cmd);
    return text;
}

char *found(const char *filter, const char *opts)
{
    bson_error_t err;
    const bson_t *d;
    struct buf text;
    buf_init(&text, 1 << 20);
    bson_t *f = from_json(filter), *o = from_json(opts);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(coll, f, o, NULL);
    while (mongoc_cursor_next(cursor, &d)) {
        char *json = bson_as_relaxed_extended_json(d, NULL);
        buf_cstr(&text, json);
        bson_free(json);
    }
    if (mongoc_cursor_error(cursor, &err)) {
        buf_printf(&text, "error %u", err.code);
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(f);
    bson_destroy(o);
    buf_cstr(&text, "");
    return text.p ? text.p : x_strdup("");
}

int shell_begin(void **state)
{
    (void)state;
    fake_must(&fake, "reset");
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    static const char *const options[] = {"--leash", NULL};
    fake_start(&fake, program, options);
    fake_dial(&fake);
    client = fake_client(&fake, "");
    coll = mongoc_client_get_collection(client, "db", "c");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mongoc_collection_destroy(coll);
    mongoc_client_destroy(client);
    fake_stop(&fake);
    return 0;
}

int shell_run(int argc, char **argv,
              int (*run)(CMFixtureFunction set_up, CMFixtureFunction tear_down))
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FAKE_MONGOD\n", argv[0]);
        return 2;
    }
    program = argv[1];
    mongoc_init();
    int failed = run(set_up, tear_down);
    mongoc_cleanup();
    return failed;
}
