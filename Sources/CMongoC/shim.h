#include <mongoc/mongoc.h>

/* Swift lends 128 bytes for one; see RawBSON.swift. */
_Static_assert(sizeof(bson_t) <= 128 && sizeof(bson_iter_t) <= 128, "libbson's types have grown");
