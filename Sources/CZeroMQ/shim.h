#include <errno.h>
#include <zmq.h>

/* Of libzmq's draft API, compiled into Debian's build, absent from its public header (zmq_draft.h, 4.3.4). */
#define ORDERWIRE_ZMQ_ZAP_ENFORCE_DOMAIN 93
