// Being inside a reader's method: alone, with the descriptor left as its event loop expects it.
#include "reader_base.hpp"

namespace toroni::bindings {

ReaderBase::Use::Use(ReaderBase& reader, const blocking::Deadline& deadline) : reader_(reader) {
    acquired_ = reader.lock_.acquire(deadline);
    if (acquired_) enter();
    else if (reader.lock_.is_taken() && reader.listener_) reader.listener_->quiet();
    if (acquired_) reader.listener_->disarm(*reader.reader_);
}

ReaderBase::Use::Use(ReaderBase& reader) : reader_(reader) {
    reader.lock_.visit([&] {
        if (reader.listener_ && reader.reader_) reader.listener_->interrupt(*reader.reader_);
    });
    acquired_ = true;
    enter();
}

void ReaderBase::Use::enter() {
    try {
        reader_.open_reader();
    } catch (...) {
        leave();
        throw;
    }
}

// A visitor leaves the rest to the thread that is inside.
void ReaderBase::Use::leave() {
    if (reader_.closing_.load() && !reader_.lock_.is_visitor()) reader_.let_go();
    reader_.lock_.release();
}

ReaderBase::Use::~Use() {
    if (!acquired_) return;
    if (reader_.listener_ && !reader_.lock_.is_visitor()) reader_.listener_->settle();
    leave();
}

}  // namespace toroni::bindings
