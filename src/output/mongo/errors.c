// MongoDB's errors in our words. Codes: src/mongo/base/error_codes.yml of the server.
#include <errno.h>

#include "output/mongo/conn.h"

struct meaning {
    int32_t code;
    int errno_;
    bool passes; // trying the same again is right: it is no fault of what is written
    const char *text;
};

#define AWAY "the server is changing its primary; the write is tried again"
#define GRANT "give this user the role readWrite on the database, or name another user in the URI"
#define ROOM "make room on the server's disk, or shorten the retention"

static const struct meaning meanings[] = {
    {6, -EAGAIN, true, "a server cannot reach another one"}, // HostUnreachable
    {7, -EAGAIN, true, "a server cannot find another one"},  // HostNotFound
    {13, -EACCES, true, "not authorised: " GRANT},           // Unauthorized
    {18, -EACCES, true,
     "the user or the password is wrong: correct the URI"},        // AuthenticationFailed
    {11, -EACCES, true, "there is no such user: correct the URI"}, // UserNotFound
    {20, -EOPNOTSUPP, false, "the server does not do that"},       // IllegalOperation
    {24, -EAGAIN, true, "waited for a lock for too long"},         // LockTimeout
    {46, -EAGAIN, true, "the collection is locked"},               // LockBusy
    {50, -ETIMEDOUT, true, "the server took too long"},            // MaxTimeMSExpired
    {59, -EOPNOTSUPP, false,
     "the server does not know a command: is it a MongoDB of 4.4 or newer?"},
    {72, -EOPNOTSUPP, false, "the server does not do that"}, // InvalidOptions
    {64, -ETIMEDOUT, true,
     "written, but not acknowledged by a majority of the servers in time: see whether they all "
     "run"},
    {89, -ETIMEDOUT, true, "a server did not answer another one in time"}, // NetworkTimeout
    {91, -EAGAIN, true, AWAY},                                             // ShutdownInProgress
    {100, -EAGAIN, true,
     "not enough servers run to acknowledge a write: start them, or lower w in the URI"},
    {112, -EAGAIN, true, "two writes met; this one is tried again"}, // WriteConflict
    {117, -EAGAIN, true, "another operation is in the way"}, // ConflictingOperationInProgress
    {123, -EOPNOTSUPP, false, "the server is no member of a replica set"}, // NotAReplicaSet
    {133, -EAGAIN, true,
     "no server of the kind that the URI wants"},                 // FailedToSatisfyReadPreference
    {175, -EAGAIN, true, "the query was stopped"},                // QueryPlanKilled
    {189, -EAGAIN, true, AWAY},                                   // PrimarySteppedDown
    {202, -EAGAIN, true, "the server has no room for more work"}, // NetworkInterfaceExceeded...
    {262, -ETIMEDOUT, true, "the server took too long"},          // ExceededTimeLimit
    {8000, -EDQUOT, true, "the cluster's quota or its rules stand against it: see its console"},
    {9001, -EAGAIN, true, "a connection broke"}, // SocketException
    {10058, -EAGAIN, true, AWAY},
    {10107, -EAGAIN, true, AWAY},                                    // NotWritablePrimary
    {11600, -EAGAIN, true, AWAY},                                    // InterruptedAtShutdown
    {11601, -EAGAIN, true, "the operation was stopped by somebody"}, // Interrupted
    {11602, -EAGAIN, true, AWAY},                                    // ...DueToReplStateChange
    {13388, -EAGAIN, true, "the cluster's layout is changing"},      // StaleConfig
    {13435, -EAGAIN, true, AWAY},                                    // NotPrimaryNoSecondaryOk
    {13436, -EAGAIN, true, AWAY},                                    // NotPrimaryOrSecondary
    {14031, -ENOSPC, true, "the server's disk is full: " ROOM},      // OutOfDiskSpace
};

bool mg_code_refuses(int32_t code)
{
    static const int32_t codes[] = {
        2,     // BadValue
        9,     // FailedToParse
        14,    // TypeMismatch
        22,    // InvalidBSON
        52,    // DollarPrefixedFieldName
        121,   // DocumentValidationFailure
        10334, // BSONObjectTooLarge
        11000, // a unique index that is not ours
        17280, // KeyTooLong, of servers before 4.2
        17419, // the document would become too large
    };
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

static const struct meaning *meaning_of(int32_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        if (meanings[i].code == code) {
            return &meanings[i];
        }
    }
    return NULL;
}

static int set(struct error *err, int code, bool retryable, const char *name, const char *what,
               const char *detail)
{
    struct error e;
    int r = error_set(&e, code, "%s: %s%s%s%s", name, what, detail ? " (" : "",
                      detail ? detail : "", detail ? ")" : "");
    e.retryable = retryable;
    if (err) {
        *err = e;
    }
    return r;
}

// Codes that nobody foresaw are tried again: a pipeline that waits and says so loses nothing.
int mg_fail_code(const struct mg_conn *c, int32_t code, const char *text, struct error *err)
{
    const struct meaning *m = meaning_of(code);
    if (m) {
        return set(err, m->errno_, m->passes, c->name, m->text, text);
    }
    if (mg_code_refuses(code)) {
        return set(err, -EIO, true, c->name,
                   "a rule of the database refuses what gtap computes: remove the validator or "
                   "index that somebody added to its collections",
                   text);
    }
    char what[64];
    (void)snprintf(what, sizeof(what), "the server answers with error %d", (int)code);
    return set(err, -EIO, true, c->name, what, text);
}

// libmongoc tells timeouts from other network errors by their text alone, and not always.
static int fail_network(const struct mg_conn *c, const bson_error_t *error, struct error *err)
{
    bool either = strstr(error->message, "socket error or timeout") != NULL;
    bool late = strstr(error->message, "timeout") || strstr(error->message, "timed out");
    if (error->domain == MONGOC_ERROR_SERVER_SELECTION) {
        return set(err, -EHOSTUNREACH, true, c->name,
                   "cannot be reached: see that it runs, that the URI names it, and that it has a "
                   "primary",
                   error->message);
    }
    return set(err, late ? -ETIMEDOUT : -ECONNRESET, true, c->name,
               either ? "the connection broke, or the server does not answer"
               : late ? "the server does not answer"
                      : "the connection broke",
               error->message);
}

int mg_fail(const struct mg_conn *c, const bson_error_t *error, struct error *err)
{
    switch (error->domain) {
    case MONGOC_ERROR_SERVER_SELECTION:
        if (strstr(error->message, "uthenticat")) {
            return mg_fail_code(c, 18, error->message, err);
        }
        return fail_network(c, error, err);
    case MONGOC_ERROR_STREAM:
    case MONGOC_ERROR_PROTOCOL:
        return fail_network(c, error, err);
    case MONGOC_ERROR_CLIENT:
        if (error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE) {
            return mg_fail_code(c, 18, error->message, err);
        }
        if (error->code == MONGOC_ERROR_CLIENT_SESSION_FAILURE) {
            return set(err, -EOPNOTSUPP, false, c->name, error->message, NULL);
        }
        return set(err, -EIO, true, c->name, error->message, NULL);
    case MONGOC_ERROR_SERVER:
    case MONGOC_ERROR_WRITE_CONCERN:
    case MONGOC_ERROR_QUERY:
    case MONGOC_ERROR_COMMAND:
        return mg_fail_code(c, (int32_t)error->code, error->message, err);
    default:
        return set(err, -EIO, true, c->name, error->message, NULL);
    }
}

int mg_fail_corrupt(const struct mg_conn *c, const char *collection, struct error *err)
{
    return error_set(err, -EBADMSG,
                     "%s: a document of %s is not as gtap wrote it: it was changed by another "
                     "program. Restore it from a backup",
                     c->name, collection);
}
