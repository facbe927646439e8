/* Echo of two frames over ROUTER and DEALER: what libzmq alone can do, to measure the runtime against.
 *
 *   raw-echo server ENDPOINT [SPIN_US]               until SIGTERM
 *   raw-echo client ENDPOINT IN_FLIGHT SECONDS       prints calls_per_s=... p50_us=... p99_us=...
 *
 * One connection, one thread a side. The client keeps IN_FLIGHT calls of a 32-byte header and a 64-byte payload on
 * the way. Both sides take everything that is there before they sleep, and sleep in a blocking receive, which costs less
 * than zmq_poll. SPIN_US lets the server look again for that long before it sleeps, as the runtime's frontend does. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

enum { header_size = 32, payload_size = 64, sent_at_offset = 16, warm_up_ms = 500, most_in_flight = 900 };

/* Latencies are counted in tenths of a microsecond; the last bucket holds all that took 100 ms or more. */
enum { bucket_ns = 100, bucket_count = 1000 * 1000 };
static uint32_t buckets[bucket_count];


static void check(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "raw-echo: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Receives one frame. 0: none there (with ZMQ_DONTWAIT), or a signal interrupted it. */
static int receive(void *socket, zmq_msg_t *frame, int flags)
{
    if (zmq_msg_recv(frame, socket, flags) >= 0)
        return 1;
    check(errno == EAGAIN || errno == EINTR, "receive");
    return 0;
}

static void serve(void *context, const char *endpoint, uint64_t spin_ns)
{
    void *router = zmq_socket(context, ZMQ_ROUTER);
    int linger = 0;
    check(router != NULL && zmq_setsockopt(router, ZMQ_LINGER, &linger, sizeof linger) == 0, "socket");
    check(zmq_bind(router, endpoint) == 0, endpoint);
    zmq_msg_t id, header, payload;
    zmq_msg_init(&id);
    zmq_msg_init(&header);
    zmq_msg_init(&payload);
    uint64_t last = now_ns();
    for (;;) {
        int wait = spin_ns == 0 || now_ns() - last > spin_ns;
        if (!receive(router, &id, ZMQ_DONTWAIT) && !(wait && receive(router, &id, 0)))
            continue;
        do {
            check(receive(router, &header, 0) && receive(router, &payload, 0), "receive");
            /* Sending takes the frame's memory over, so nothing is copied. */
            check(zmq_msg_send(&id, router, ZMQ_SNDMORE) >= 0, "send");
            check(zmq_msg_send(&header, router, ZMQ_SNDMORE) >= 0, "send");
            check(zmq_msg_send(&payload, router, 0) >= 0, "send");
        } while (receive(router, &id, ZMQ_DONTWAIT));
        if (spin_ns > 0)
            last = now_ns();
    }
}

static void send_call(void *dealer, uint64_t call_id)
{
    static const char body[payload_size];
    zmq_msg_t header, payload;
    check(zmq_msg_init_size(&header, header_size) == 0 && zmq_msg_init_size(&payload, payload_size) == 0, "message");
    uint64_t sent_at = now_ns();
    char *bytes = zmq_msg_data(&header);
    memset(bytes, 0, header_size);
    memcpy(bytes + 8, &call_id, sizeof call_id);
    memcpy(bytes + sent_at_offset, &sent_at, sizeof sent_at);
    memcpy(zmq_msg_data(&payload), body, payload_size);
    check(zmq_msg_send(&header, dealer, ZMQ_SNDMORE) >= 0, "send");
    check(zmq_msg_send(&payload, dealer, 0) >= 0, "send");
}

static double percentile_us(uint64_t count, double share)
{
    uint64_t rank = (uint64_t)((double)count * share), seen = 0;
    for (int i = 0; i < bucket_count; i++) {
        seen += buckets[i];
        if (seen > rank)
            return (i + 0.5) * bucket_ns / 1000.0;
    }
    return 0;
}

static void measure(void *context, const char *endpoint, int in_flight, double seconds)
{
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    int linger = 0, give_up_ms = 5000;
    check(dealer != NULL && zmq_setsockopt(dealer, ZMQ_LINGER, &linger, sizeof linger) == 0, "socket");
    check(zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &give_up_ms, sizeof give_up_ms) == 0, "socket");
    check(zmq_connect(dealer, endpoint) == 0, endpoint);
    uint64_t call_id = 0, count = 0, begin = now_ns() + warm_up_ms * UINT64_C(1000000);
    uint64_t end = begin + (uint64_t)(seconds * 1e9), now = 0;
    zmq_msg_t header, payload;
    zmq_msg_init(&header);
    zmq_msg_init(&payload);
    for (int i = 0; i < in_flight; i++)
        send_call(dealer, call_id++);
    while (now < end) {
        check(receive(dealer, &header, 0), "no answer within 5 s");
        int answers = 0;
        do {
            check(receive(dealer, &payload, 0), "receive");
            check(zmq_msg_size(&header) == header_size && zmq_msg_size(&payload) == payload_size, "size of the answer");
            uint64_t sent_at;
            memcpy(&sent_at, (char *)zmq_msg_data(&header) + sent_at_offset, sizeof sent_at);
            now = now_ns();
            if (now >= begin && now < end) {
                uint64_t bucket = (now - sent_at) / bucket_ns;
                buckets[bucket < bucket_count ? bucket : bucket_count - 1]++;
                count++;
            }
            answers++;
        } while (answers < in_flight && receive(dealer, &header, ZMQ_DONTWAIT));
        while (answers-- > 0)
            send_call(dealer, call_id++);
    }
    printf("calls_per_s=%.0f p50_us=%.1f p99_us=%.1f\n", (double)count / seconds, percentile_us(count, 0.50),
           percentile_us(count, 0.99));
    zmq_close(dealer);
}

int main(int argc, char **argv)
{
    int is_server = argc >= 3 && argc <= 4 && strcmp(argv[1], "server") == 0;
    int is_client = argc == 5 && strcmp(argv[1], "client") == 0;
    int in_flight = is_client ? atoi(argv[3]) : 1;
    double seconds = is_client ? atof(argv[4]) : 1;
    if (!(is_server || is_client) || in_flight < 1 || in_flight > most_in_flight || !(seconds > 0)) {
        fprintf(stderr, "usage: raw-echo server ENDPOINT [SPIN_US]\n"
                        "       raw-echo client ENDPOINT IN_FLIGHT(1-%d) SECONDS\n", most_in_flight);
        return 64;
    }
    void *context = zmq_ctx_new();
    check(context != NULL, "context");
    if (is_server)
        serve(context, argv[2], argc == 4 ? (uint64_t)atol(argv[3]) * 1000 : 0);
    else
        measure(context, argv[2], in_flight, seconds);
    zmq_ctx_term(context);
    return 0;
}
