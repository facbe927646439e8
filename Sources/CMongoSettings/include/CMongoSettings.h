// Settings of libmongoc that have to be made before it is loaded: linking this target makes them.
#pragma once
