// toroni._core: conversion and the GIL, nothing else.
#include "agent.hpp"
#include "borrowed.hpp"
#include "errors.hpp"
#include "message.hpp"
#include "reader_base.hpp"
#include "status.hpp"
#include "stream_base.hpp"
#include "topic_layer.hpp"

NB_MODULE(_core, module) {
    using namespace toroni::bindings;
    nanobind::set_leak_warnings(false);  // a reader that was never closed is ended by its process's end
    bind_errors(module);
    bind_status(module);
    bind_stream_base(module);
    bind_stream(module);
    bind_bus(module);
    bind_message(module);
    bind_borrowed(module);
    bind_reader_base(module);
    bind_raw_reader(module);
    bind_topic_reader(module);
    bind_topic_layer(module);
    bind_agent(module);
}
