/* Pages of products with libmongoc alone, to measure the service against: the finds that ListProducts sends for pages by
 * token in the order of names, each thread one after the other.
 *
 *   list-products URI DATABASE THREADS SECONDS [PAGE_SIZE]
 *       prints queries_per_s=... p50_us=... p99_us=... cpu_us=... rows=... calls=...
 *
 * A page of N is N rows after a key; the rows are walked over and not read. The keys are those of every Nth product, in an
 * order of chance, shared out among the threads; cpu_us is this process's own, a query; calls are all, the warm-up's included. */
#define _GNU_SOURCE
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { warm_up_ms = 500, most_threads = 64 };

/* Latencies are counted in microseconds; the last bucket holds all that took 100 ms or more. */
enum { bucket_count = 100 * 1000 };

struct worker {
    pthread_t thread;
    int number;
    /* `all` are those of the warm-up, too. */
    uint64_t queries, rows, all;
    uint32_t buckets[bucket_count];
};

static mongoc_client_pool_t *pool;
static const char *database;
static char **keys;
static size_t key_count, key_capacity;
static int page_size = 10, thread_count;
static uint64_t begin_ns, end_ns;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "list-products: %s: %s\n", what, why);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Calls `row` for each row of a find, and returns how many there were. */
static uint64_t each_row(mongoc_collection_t *products, const bson_t *filter, const bson_t *options,
                         void (*row)(uint64_t index, const bson_t *))
{
    uint64_t count = 0;
    const bson_t *document;
    bson_error_t error;
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(products, filter, options, NULL);
    while (mongoc_cursor_next(cursor, &document)) {
        if (row)
            row(count, document);
        count++;
    }
    if (mongoc_cursor_error(cursor, &error))
        fail("find", error.message);
    mongoc_cursor_destroy(cursor);
    return count;
}

static void keep_key(uint64_t index, const bson_t *row)
{
    bson_iter_t iterator;
    if (index % (uint64_t)page_size != (uint64_t)page_size - 1 || !bson_iter_init_find(&iterator, row, "name_key"))
        return;
    if (key_count == key_capacity) {
        key_capacity = key_capacity ? key_capacity * 2 : 1024;
        keys = realloc(keys, key_capacity * sizeof *keys);
        if (!keys)
            fail("keys", "out of memory");
    }
    keys[key_count++] = strdup(bson_iter_utf8(&iterator, NULL));
}

static void read_keys(void)
{
    mongoc_client_t *client = mongoc_client_pool_pop(pool);
    mongoc_collection_t *products = mongoc_client_get_collection(client, database, "products");
    bson_t filter = BSON_INITIALIZER;
    bson_t *options = BCON_NEW("sort", "{", "name_key", BCON_INT64(1), "}", "hint", BCON_UTF8("by_name"), "projection", "{",
                               "_id", BCON_INT64(0), "name_key", BCON_INT64(1), "}");
    each_row(products, &filter, options, keep_key);
    bson_destroy(options);
    mongoc_collection_destroy(products);
    mongoc_client_pool_push(pool, client);
    if (key_count < 2)
        fail(database, "has no products");
    /* Nobody asks for the last pages in a row. */
    srand(1);
    for (size_t i = key_count - 1; i > 0; i--) {
        size_t j = (size_t)rand() % (i + 1);
        char *key = keys[i];
        keys[i] = keys[j];
        keys[j] = key;
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    mongoc_client_t *client = mongoc_client_pool_pop(pool);
    mongoc_collection_t *products = mongoc_client_get_collection(client, database, "products");
    bson_t *options = BCON_NEW("sort", "{", "name_key", BCON_INT64(1), "}", "limit", BCON_INT64(page_size), "batchSize",
                               BCON_INT64(page_size + 1), "hint", BCON_UTF8("by_name"), "maxTimeMS", BCON_INT64(1200));
    size_t next = (size_t)worker->number;
    for (uint64_t before = now_ns(); before < end_ns;) {
        bson_t filter, range;
        bson_init(&filter);
        BSON_APPEND_DOCUMENT_BEGIN(&filter, "name_key", &range);
        BSON_APPEND_UTF8(&range, "$gt", keys[next]);
        bson_append_document_end(&filter, &range);
        uint64_t rows = each_row(products, &filter, options, NULL);
        bson_destroy(&filter);
        next = (next + (size_t)thread_count) % key_count;
        uint64_t after = now_ns();
        worker->all++;
        if (before >= begin_ns && after < end_ns) {
            uint64_t bucket = (after - before) / 1000;
            worker->buckets[bucket < bucket_count ? bucket : bucket_count - 1]++;
            worker->queries++;
            worker->rows += rows;
        }
        before = after;
    }
    bson_destroy(options);
    mongoc_collection_destroy(products);
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
            return bucket;
    }
    return bucket_count;
}

int main(int argc, char **argv)
{
    thread_count = argc > 3 ? atoi(argv[3]) : 0;
    double seconds = argc > 4 ? atof(argv[4]) : 0;
    if (argc > 5)
        page_size = atoi(argv[5]);
    if (argc < 5 || argc > 6 || thread_count < 1 || thread_count > most_threads || seconds <= 0 || page_size < 1) {
        fprintf(stderr, "usage: list-products URI DATABASE THREADS SECONDS [PAGE_SIZE]\n");
        return 64;
    }
    mongoc_init();
    mongoc_uri_t *uri = mongoc_uri_new(argv[1]);
    if (!uri)
        fail(argv[1], "is no MongoDB URI");
    database = argv[2];
    pool = mongoc_client_pool_new(uri);
    mongoc_client_pool_set_error_api(pool, MONGOC_ERROR_API_VERSION_2);
    read_keys();

    struct worker *workers = calloc((size_t)thread_count, sizeof *workers);
    if (!workers)
        fail("workers", "out of memory");
    begin_ns = now_ns() + warm_up_ms * UINT64_C(1000000);
    end_ns = begin_ns + (uint64_t)(seconds * 1e9);
    double cpu = cpu_seconds();
    for (int i = 0; i < thread_count; i++) {
        workers[i].number = i;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            fail("thread", "cannot be created");
    }
    uint64_t queries = 0, rows = 0, all = 0;
    for (int i = 0; i < thread_count; i++) {
        pthread_join(workers[i].thread, NULL);
        queries += workers[i].queries;
        rows += workers[i].rows;
        all += workers[i].all;
    }
    cpu = cpu_seconds() - cpu;
    printf("queries_per_s=%.0f p50_us=%llu p99_us=%llu cpu_us=%.1f rows=%.1f calls=%llu\n", (double)queries / seconds,
           (unsigned long long)percentile_us(workers, queries, 0.50), (unsigned long long)percentile_us(workers, queries, 0.99),
           cpu * 1e6 / (double)all, (double)rows / (double)queries, (unsigned long long)all);
    free(workers);
    mongoc_client_pool_destroy(pool);
    mongoc_uri_destroy(uri);
    return 0;
}
