// What is sent back: headers, entity tags, packed bodies, problem details (RFC 9457), and what
// pages of other origins may see (https://fetch.spec.whatwg.org/#http-cors-protocol). Internal to
// src/http.
#pragma once

#include "http/server_impl.h"

#define ANSWER_PROBLEM "application/problem+json"
enum { ANSWER_PROBLEM_MAX = 128 * 1024 }; // a parameter's name may be as long as a header

// Takes down what later answers need of the header. On the server's thread.
void answer_note(struct http_exchange *x);
// Whether this was a browser that asks whether a page of another origin may send what comes next;
// then it is answered. allow: the methods there are.
bool answer_preflight(struct http_exchange *x, struct str allow);
// Packs the body where that is asked for and worth it: *body is then the returned text, the
// caller's to free. Else NULL.
char *answer_pack(const struct http_exchange *x, const char *type, const char *headers,
                  struct str *body);
// headers: "Name: value\n" lines, or NULL; tag: quoted, "": none. owned: what the body lies in,
// which goes with the answer; NULL: the body is copied. NULL: libmicrohttpd has no memory.
struct MHD_Response *answer_response(const struct http_exchange *x, const char *tag,
                                     const char *type, const char *headers, struct str body,
                                     char *owned);
void answer_headers(struct MHD_Response *r, const struct http_exchange *x, const char *tag,
                    const char *type, const char *headers);
// parameter: NULL, or the one at fault.
void answer_problem(struct buf *b, int status, const char *parameter, struct str detail);
// NULL, or the first of the comma list that is no origin: the caller's.
char *answer_bad_origin(const char *origins);
