// Dead letters on their way to a topic of Kafka, beside the store: a message a letter. Its value is
// the record as it was received; headers say the rest: gtap.reason, gtap.origin ("token.usage.v1/3/
// 1187", an input's name), gtap.position (the record's number there), gtap.at (RFC 3339). A record
// too large for the brokers goes without its value, with the header gtap.cut = "too large": the
// store has it whole.
//
// Belongs to one thread.
#pragma once

#include "kafka/settings.h"
#include "model/record.h"

struct letters;

// Opens no connection yet. settings may be NULL; both are borrowed for the call only.
int letters_open(const char *bootstrap, const char *topic, const struct kafka_settings *settings,
                 struct letters **ret, struct error *err) GTAP_CHECK;
void letters_close(struct letters *l); // accepts NULL; waits for nothing

// On return every broker that must have them has them. After a failure some may be there: who reads
// the topic may find a letter twice. Takes at most some 10 s. Every failure is retryable, also what
// somebody must change first (rights, a topic that nobody may create): the message says what.
int letters_publish(struct letters *l, const struct dead_letter *v, size_t n, struct error *err)
    GTAP_CHECK;
