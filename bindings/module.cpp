// toroni._core: conversion and the GIL, nothing else.
#include "errors.hpp"
#include "reader.hpp"
#include "stream.hpp"

NB_MODULE(_core, module) {
    nanobind::set_leak_warnings(false);  // a reader that was never closed is ended by its process's end
    toroni::bindings::bind_errors(module);
    toroni::bindings::bind_stream(module);
    toroni::bindings::bind_reader(module);
}
