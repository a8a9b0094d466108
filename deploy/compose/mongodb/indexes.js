// The indexes of gtap's queries, the same that the program makes when it opens the database
// (src/output/mongo/schema.c): repeating this changes nothing, and the order of the two does not
// matter. tests/deploy/test_compose.py compares them.
const database = db.getSiblingDB(process.env.MONGO_INITDB_DATABASE || db.getName());

const indexes = [
  ['gpu_metrics', 'partition_ts', {partition: 1, ts_ns: 1, _id: 1}],
  ['gpu_metrics', 'seq', {seq: 1}],
  ['token_usage', 'partition_start', {partition: 1, start_ns: 1, _id: 1}],
  ['token_usage', 'seq', {seq: 1}],
  ['token_usage', 'unplaced', {start_ns: 1, _id: 1}, {partialFilterExpression: {placed: false}}],
  ['token_usage', 'unpriced', {start_ns: 1, _id: 1}, {partialFilterExpression: {priced: false}}],
  ['token_usage', 'late', {start_ns: 1, _id: 1}, {partialFilterExpression: {late: true}}],
  ['cost_windows', 'partition_id', {partition: 1, _id: 1}],
  ['cost_hours', 'partition_id', {partition: 1, _id: 1}],
  ['cost_days', 'partition_id', {partition: 1, _id: 1}],
  ['dead_letters', 'at', {at_ns: 1}],
  ['owners', 'seen', {seen: 1}, {expireAfterSeconds: 86400}],
];

for (const [collection, name, key, more] of indexes) {
  database.getCollection(collection).createIndex(key, {name, ...more});
}
print(`${indexes.length} indexes of the database ${database.getName()}`);
