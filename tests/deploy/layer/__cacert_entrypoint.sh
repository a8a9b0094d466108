#!/bin/sh
# Of Kafka's image: it may add certificates to Java's, then runs what it is told.
exec "$@"
