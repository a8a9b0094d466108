// What the rest of the server does with streams. Internal to src/http.
#pragma once

#include "http/server_impl.h"
#include "http/stream.h"

struct http_listening; // one who has joined a stream

void stream_leave(struct http_listening *l); // the connection is done with its exchange; frees it
// Ends the answers of all who listen, once they have what was sent. With for_good nobody joins any
// more.
void streams_end(struct http_server *s, bool for_good);
// exchange.c: answers 200 by a response whose content comes from `l`, which is left by
// stream_leave().
void exchange_listens(struct http_exchange *x, struct MHD_Response *response,
                      struct http_listening *l);
