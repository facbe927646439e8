/* Orders with libmongoc alone, to measure the service against: each call an insert of its own, each order settled in a
 * transaction of its own. Each thread goes on with the next order when one is done.
 *
 *   orders URI DATABASE accept|settle|settle-one THREADS SECONDS PRODUCTS
 *       prints orders_per_s=... p50_us=... p99_us=... cpu_us=... conflicts=... calls=...
 *
 * accept: an insert, acknowledged by a majority's journals. settle: that, then a transaction that reads two products' prices
 * and stock, takes a piece of each and writes the result into the order; a conflict repeats it. settle-one: all orders want
 * product-0, and another one.
 *
 * The products are the service's, `product-0` to PRODUCTS - 1; the orders have its fields and its index, in a collection of
 * their own. cpu_us is this process's, an order; calls are all, the warm-up's included. */
#define _GNU_SOURCE
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { warm_up_ms = 500, most_threads = 64, most_tries = 1000, id_length = 26 };

/* Latencies are counted in tens of microseconds; the last bucket holds all that took a second or more. */
enum { bucket_us = 10, bucket_count = 100 * 1000 };

enum { accepted = 1, fulfilled = 2 };

enum mode { accept_only, settle, settle_one };

struct worker {
    pthread_t thread;
    uint64_t chance;
    mongoc_client_session_t *session;
    mongoc_collection_t *orders, *products;
    /* `all` are those of the warm-up, too. */
    uint64_t done, all, conflicts;
    uint32_t buckets[bucket_count];
};

struct order {
    char id[id_length + 1];
    char products[2][32];
};

static mongoc_client_pool_t *pool;
static const char *database;
static enum mode mode;
static int thread_count, product_count;
static uint64_t begin_ns, end_ns;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "orders: %s: %s\n", what, why);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* xorshift64*, a state a thread. */
static uint64_t next_random(struct worker *worker)
{
    worker->chance ^= worker->chance >> 12;
    worker->chance ^= worker->chance << 25;
    worker->chance ^= worker->chance >> 27;
    return worker->chance * UINT64_C(2685821657736338717);
}

static struct order make_order(struct worker *worker)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    struct order order;
    for (int i = 0; i < id_length; i++)
        order.id[i] = alphabet[next_random(worker) >> 59];
    order.id[id_length] = 0;
    uint64_t first = mode == settle_one ? 0 : (next_random(worker) >> 16) % (uint64_t)product_count;
    uint64_t second = (first + 1 + (next_random(worker) >> 16) % (uint64_t)(product_count - 1)) % (uint64_t)product_count;
    snprintf(order.products[0], sizeof order.products[0], "product-%llu", (unsigned long long)first);
    snprintf(order.products[1], sizeof order.products[1], "product-%llu", (unsigned long long)second);
    return order;
}

static void accept_order(struct worker *worker, const struct order *order)
{
    uint8_t fingerprint[32];
    for (int i = 0; i < 4; i++) {
        uint64_t bits = next_random(worker);
        memcpy(fingerprint + 8 * i, &bits, sizeof bits);
    }
    bson_t document, lines;
    bson_error_t error;
    bson_init(&document);
    BSON_APPEND_UTF8(&document, "_id", order->id);
    BSON_APPEND_UTF8(&document, "identity", "bench");
    BSON_APPEND_UTF8(&document, "key", order->id);
    BSON_APPEND_BINARY(&document, "fingerprint", BSON_SUBTYPE_BINARY, fingerprint, sizeof fingerprint);
    BSON_APPEND_ARRAY_BEGIN(&document, "lines", &lines);
    for (int i = 0; i < 2; i++) {
        bson_t line;
        bson_append_document_begin(&lines, i == 0 ? "0" : "1", 1, &line);
        BSON_APPEND_UTF8(&line, "product", order->products[i]);
        BSON_APPEND_INT64(&line, "quantity", 1);
        bson_append_document_end(&lines, &line);
    }
    bson_append_array_end(&document, &lines);
    BSON_APPEND_DATE_TIME(&document, "accepted", now_ms());
    BSON_APPEND_INT32(&document, "state", accepted);
    BSON_APPEND_BOOL(&document, "queued", true);
    if (!mongoc_collection_insert_one(worker->orders, &document, NULL, NULL, &error))
        fail("insert", error.message);
    bson_destroy(&document);
}

/* Whether a step of a transaction was done; false where the transaction is to be repeated. Ends the reply. */
static bool went_well(bool succeeded, bson_t *reply, const bson_error_t *error)
{
    if (!succeeded && !mongoc_error_has_label(reply, "TransientTransactionError"))
        fail("settlement", error->message);
    bson_destroy(reply);
    return succeeded;
}

/* The prices of the two products, added up. */
static bool read_total(struct worker *worker, const struct order *order, const bson_t *in_session, int64_t *total)
{
    bson_t *filter = BCON_NEW("_id", "{", "$in", "[", BCON_UTF8(order->products[0]), BCON_UTF8(order->products[1]), "]", "}");
    bson_t *options = BCON_NEW("projection", "{", "price", BCON_INT64(1), "stock", BCON_INT64(1), "}");
    bson_concat(options, in_session);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(worker->products, filter, options, NULL);
    const bson_t *row, *found;
    bson_t reply = BSON_INITIALIZER;
    bson_error_t error;
    int rows = 0;
    *total = 0;
    while (mongoc_cursor_next(cursor, &row)) {
        bson_iter_t iterator, minor, stock;
        if (!bson_iter_init(&iterator, row) || !bson_iter_find_descendant(&iterator, "price.minor", &minor) ||
            !bson_iter_init_find(&stock, row, "stock") || bson_iter_as_int64(&stock) < 1)
            fail("product", "is not for sale");
        *total += bson_iter_as_int64(&minor);
        rows++;
    }
    bool succeeded = !mongoc_cursor_error_document(cursor, &error, &found);
    if (!succeeded)
        bson_concat(&reply, found);
    else if (rows != 2)
        fail("products", "are missing");
    succeeded = went_well(succeeded, &reply, &error);
    mongoc_cursor_destroy(cursor);
    bson_destroy(options);
    bson_destroy(filter);
    return succeeded;
}

static bool take_stock(struct worker *worker, const struct order *order, const bson_t *in_session)
{
    mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(worker->products, in_session);
    bson_t *update = BCON_NEW("$inc", "{", "stock", BCON_INT64(-1), "}", "$set", "{", "updated", BCON_DATE_TIME(now_ms()), "}");
    bson_t reply;
    bson_error_t error;
    for (int i = 0; i < 2; i++) {
        bson_t *filter = BCON_NEW("_id", BCON_UTF8(order->products[i]), "stock", "{", "$gte", BCON_INT64(1), "}");
        mongoc_bulk_operation_update_one_with_opts(bulk, filter, update, NULL, &error);
        bson_destroy(filter);
    }
    bool succeeded = mongoc_bulk_operation_execute(bulk, &reply, &error) != 0;
    bson_iter_t modified;
    if (succeeded && (!bson_iter_init_find(&modified, &reply, "nModified") || bson_iter_as_int64(&modified) != 2))
        fail("stock", "was not taken");
    mongoc_bulk_operation_destroy(bulk);
    bson_destroy(update);
    return went_well(succeeded, &reply, &error);
}

static bool finish(struct worker *worker, const struct order *order, const bson_t *in_session, int64_t total)
{
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(order->id), "queued", BCON_BOOL(true));
    bson_t *update = BCON_NEW("$set", "{", "state", BCON_INT32(fulfilled), "total", BCON_INT64(total), "final",
                              BCON_DATE_TIME(now_ms()), "}", "$unset", "{", "queued", BCON_BOOL(true), "}");
    bson_t reply;
    bson_error_t error;
    bool succeeded = mongoc_collection_update_one(worker->orders, filter, update, in_session, &reply, &error);
    bson_destroy(update);
    bson_destroy(filter);
    return went_well(succeeded, &reply, &error);
}

static bool commit(struct worker *worker)
{
    bson_t reply;
    bson_error_t error;
    bool succeeded = mongoc_client_session_commit_transaction(worker->session, &reply, &error);
    return went_well(succeeded, &reply, &error);
}

/* One try. False where the transaction is to be repeated. */
static bool try_to_settle(struct worker *worker, const struct order *order)
{
    bson_t in_session = BSON_INITIALIZER;
    bson_error_t error;
    int64_t total;
    if (!mongoc_client_session_start_transaction(worker->session, NULL, &error) ||
        !mongoc_client_session_append(worker->session, &in_session, &error))
        fail("transaction", error.message);
    bool succeeded = read_total(worker, order, &in_session, &total) && take_stock(worker, order, &in_session) &&
                     finish(worker, order, &in_session, total) && commit(worker);
    if (!succeeded && mongoc_client_session_in_transaction(worker->session))
        mongoc_client_session_abort_transaction(worker->session, NULL);
    bson_destroy(&in_session);
    return succeeded;
}

static void settle_order(struct worker *worker, const struct order *order)
{
    for (int tries = 0; !try_to_settle(worker, order); tries++) {
        if (tries == most_tries)
            fail("settlement", "conflicts without end");
        worker->conflicts++;
        /* Up to 2 ms, and longer after some tries. */
        usleep((useconds_t)(next_random(worker) >> 16) % (useconds_t)(2000 << (tries < 5 ? tries : 5)));
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    mongoc_client_t *client = mongoc_client_pool_pop(pool);
    bson_error_t error;
    worker->orders = mongoc_client_get_collection(client, database, "peer_orders");
    worker->products = mongoc_client_get_collection(client, database, "products");
    worker->session = mongoc_client_start_session(client, NULL, &error);
    if (!worker->session || getrandom(&worker->chance, sizeof worker->chance, 0) != sizeof worker->chance)
        fail("session", error.message);
    worker->chance |= 1;
    for (uint64_t before = now_ns(); before < end_ns;) {
        struct order order = make_order(worker);
        accept_order(worker, &order);
        if (mode != accept_only)
            settle_order(worker, &order);
        uint64_t after = now_ns();
        worker->all++;
        if (before >= begin_ns && after < end_ns) {
            uint64_t bucket = (after - before) / 1000 / bucket_us;
            worker->buckets[bucket < bucket_count ? bucket : bucket_count - 1]++;
            worker->done++;
        }
        before = after;
    }
    mongoc_client_session_destroy(worker->session);
    mongoc_collection_destroy(worker->products);
    mongoc_collection_destroy(worker->orders);
    mongoc_client_pool_push(pool, client);
    return NULL;
}

static uint64_t percentile_us(const struct worker *workers, uint64_t count, double share)
{
    uint64_t rank = (uint64_t)((double)count * share), seen = 0;
    for (uint64_t bucket = 0; bucket < bucket_count; bucket++) {
        for (int i = 0; i < thread_count; i++)
            seen += workers[i].buckets[bucket];
        if (seen > rank)
            return bucket * bucket_us;
    }
    return (uint64_t)bucket_count * bucket_us;
}

/* The service's index of the orders that wait. */
static void create_index(void)
{
    mongoc_client_t *client = mongoc_client_pool_pop(pool);
    bson_error_t error;
    bson_t *command = BCON_NEW("createIndexes", BCON_UTF8("peer_orders"), "indexes", "[", "{", "name", BCON_UTF8("queue"), "key",
                               "{", "accepted", BCON_INT64(1), "_id", BCON_INT64(1), "}", "partialFilterExpression", "{",
                               "queued", BCON_BOOL(true), "}", "}", "]");
    if (!mongoc_client_write_command_with_opts(client, database, command, NULL, NULL, &error))
        fail("index", error.message);
    bson_destroy(command);
    mongoc_client_pool_push(pool, client);
}

static void ignore_log(mongoc_log_level_t level, const char *domain, const char *message, void *data)
{
    (void)level, (void)domain, (void)message, (void)data;
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"accept", "settle", "settle-one"};
    int chosen = 0;
    while (argc > 3 && chosen < 3 && strcmp(argv[3], modes[chosen]) != 0)
        chosen++;
    thread_count = argc > 4 ? atoi(argv[4]) : 0;
    double seconds = argc > 5 ? atof(argv[5]) : 0;
    product_count = argc > 6 ? atoi(argv[6]) : 0;
    if (argc != 7 || chosen == 3 || thread_count < 1 || thread_count > most_threads || seconds <= 0 || product_count < 2) {
        fprintf(stderr, "usage: orders URI DATABASE accept|settle|settle-one THREADS SECONDS PRODUCTS\n");
        return 64;
    }
    mode = (enum mode)chosen;
    mongoc_init();
    /* It logs each transaction that a conflict has ended before it is told to. */
    mongoc_log_set_handler(ignore_log, NULL);
    mongoc_uri_t *uri = mongoc_uri_new(argv[1]);
    if (!uri)
        fail(argv[1], "is no MongoDB URI");
    mongoc_write_concern_t *durable = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(durable, 10000);
    mongoc_write_concern_set_journal(durable, true);
    mongoc_uri_set_write_concern(uri, durable);
    mongoc_write_concern_destroy(durable);
    database = argv[2];
    pool = mongoc_client_pool_new(uri);
    mongoc_client_pool_set_error_api(pool, MONGOC_ERROR_API_VERSION_2);
    create_index();

    struct worker *workers = calloc((size_t)thread_count, sizeof *workers);
    if (!workers)
        fail("workers", "out of memory");
    begin_ns = now_ns() + warm_up_ms * UINT64_C(1000000);
    end_ns = begin_ns + (uint64_t)(seconds * 1e9);
    double cpu = cpu_seconds();
    for (int i = 0; i < thread_count; i++) {
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            fail("thread", "cannot be created");
    }
    uint64_t done = 0, all = 0, conflicts = 0;
    for (int i = 0; i < thread_count; i++) {
        pthread_join(workers[i].thread, NULL);
        done += workers[i].done;
        all += workers[i].all;
        conflicts += workers[i].conflicts;
    }
    cpu = cpu_seconds() - cpu;
    printf("orders_per_s=%.0f p50_us=%llu p99_us=%llu cpu_us=%.1f conflicts=%llu calls=%llu\n", (double)done / seconds,
           (unsigned long long)percentile_us(workers, done, 0.50), (unsigned long long)percentile_us(workers, done, 0.99),
           cpu * 1e6 / (double)all, (unsigned long long)conflicts, (unsigned long long)all);
    free(workers);
    mongoc_client_pool_destroy(pool);
    mongoc_uri_destroy(uri);
    return 0;
}
