// What libmongoc finds when it is loaded: linking this target suffices.
#pragma once
