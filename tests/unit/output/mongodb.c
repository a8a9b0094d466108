#include "mongodb.h"

#include "base/alloc.h"
#include "output/mongo/libmongoc.h"
#include "test.h"

char *mongodb_uri(const char *database)
{
    const char *server = getenv("GTAP_TEST_MONGODB_URI");
    assert_non_null(server);
    const char *hosts = strstr(server, "://");
    assert_non_null(hosts);
    size_t n = strcspn(hosts + 3, "/?") + (size_t)(hosts + 3 - server);
    const char *options = strchr(server + n, '?');
    return x_asprintf("%.*s/%s%s", (int)n, server, database, options ? options : "");
}

static mongoc_client_t *connect_to(const char *text, mongoc_uri_t **ret)
{
    mongoc_init();
    *ret = mongoc_uri_new(text);
    assert_non_null(*ret);
    mongoc_client_t *client = mongoc_client_new_from_uri(*ret);
    assert_non_null(client);
    return client;
}

static char *run(const char *text, const char *db, const char *json)
{
    mongoc_uri_t *uri;
    bson_error_t error = {0};
    bson_t reply;
    char *answer = NULL;
    mongoc_client_t *client = connect_to(text, &uri);
    bson_t *command = bson_new_from_json((const uint8_t *)json, -1, &error);
    if (command == NULL) {
        fail_at(__FILE__, __LINE__, "%s: %s\n", json, error.message);
    }
    db = db ? db : mongoc_uri_get_database(uri);
    if (mongoc_client_command_simple(client, db, command, NULL, &reply, &error)) {
        char *text_of_reply = bson_as_relaxed_extended_json(&reply, NULL);
        answer = x_strdup(text_of_reply);
        bson_free(text_of_reply);
    } else {
        print_message("# %s: %s\n", json, error.message);
    }
    bson_destroy(&reply);
    bson_destroy(command);
    mongoc_client_destroy(client);
    mongoc_uri_destroy(uri);
    return answer;
}

char *mongodb_command(const char *uri, const char *json)
{
    return run(uri, NULL, json);
}

char *mongodb_admin(const char *uri, const char *json)
{
    return run(uri, "admin", json);
}

void mongodb_do(const char *uri, const char *json)
{
    char *answer AUTO_FREE = mongodb_command(uri, json);
    assert_non_null(answer);
}

void mongodb_drop(const char *uri)
{
    mongodb_do(uri, "{\"dropDatabase\": 1}");
}

void mongodb_fail_next(const char *uri, const char *command, const char *data)
{
    char *json AUTO_FREE =
        x_asprintf("{\"configureFailPoint\": \"failCommand\", \"mode\": {\"times\": 1},"
                   " \"data\": {\"failCommands\": [\"%s\"], %s}}",
                   command, data);
    char *answer AUTO_FREE = mongodb_admin(uri, json);
    if (answer == NULL) {
        print_message("# skipped: the server has no fail points (enableTestCommands)\n");
        skip();
    }
}

void mongodb_fail_no_more(const char *uri)
{
    free(mongodb_admin(uri, "{\"configureFailPoint\": \"failCommand\", \"mode\": \"off\"}"));
}
