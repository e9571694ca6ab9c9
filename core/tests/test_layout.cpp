// The offsets of the format, as numbers (x86-64). The compiler checks them too; here they can be read.
#include "check.hpp"
#include "toroni/base/layout.hpp"

using namespace toroni::base;

TEST(ring_header) {
    CHECK_EQUAL(offsetof(RingHeader, capacity), 0u);
    CHECK_EQUAL(offsetof(RingHeader, writer_mutex), 8u);
    CHECK_EQUAL(offsetof(RingHeader, free_pos), 48u);
    CHECK_EQUAL(offsetof(RingHeader, backpressure_count), 56u);
    CHECK_EQUAL(offsetof(RingHeader, notification_count), 64u);
    CHECK_EQUAL(offsetof(RingHeader, initialized), 72u);
    CHECK_EQUAL(sizeof(RingHeader), 80u);
    CHECK_EQUAL(ring_extension_offset(4096), 4224u);  // 4176 rounded up to 64
    CHECK_EQUAL(ring_size(4096), 4224u + 896u);
}

TEST(reader_info) {
    CHECK_EQUAL(offsetof(ReaderInfoHeader, reader_gen), 0u);
    CHECK_EQUAL(offsetof(ReaderInfoHeader, topic_layer_initialized), 8u);
    CHECK_EQUAL(offsetof(ReaderInfoHeader, expired_readers), 16u);
    CHECK_EQUAL(offsetof(ReaderInfoHeader, slots_initialized), 24u);
    CHECK_EQUAL(offsetof(ReaderInfoHeader, max_readers), 26u);
    CHECK_EQUAL(offsetof(ReaderInfoHeader, active_range), 28u);
    CHECK_EQUAL(sizeof(ReaderInfoHeader), 32u);
    CHECK_EQUAL(sizeof(ReaderSlot), 56u);
    CHECK_EQUAL(32 + offsetof(ReaderSlot, position), 72u);
    CHECK_EQUAL(32 + offsetof(ReaderSlot, is_active), 80u);
    CHECK_EQUAL(reader_info_extension_offset(2), 192u);  // 144 rounded up to 64
    CHECK_EQUAL(reader_info_size(2), 192u + 448u + 2 * 128u);
}

TEST(fields_that_are_written_by_different_parties_have_lines_of_their_own) {
    CHECK(offsetof(RingExtension, claim_pos) % line_size == 0);
    CHECK(offsetof(RingExtension, wake_seq) % line_size == 0);
    CHECK(offsetof(RingExtension, room_mutex) % line_size == 0);
    CHECK(offsetof(ReaderInfoExtension, activation_seq) % line_size == 0);
    CHECK(offsetof(ReaderInfoExtension, space_seq) % line_size == 0);
    CHECK(offsetof(ReaderInfoExtension, waiting) % line_size == 0);
    CHECK(sizeof(SlotEntry) % line_size == 0);
}

TEST(positions_compare_across_the_wrap) {
    constexpr Position near_the_end = ~Position{0} - 10;
    CHECK_EQUAL(distance(near_the_end, near_the_end + 20), 20);
    CHECK_EQUAL(distance(near_the_end + 20, near_the_end), -20);
    CHECK_EQUAL(later(near_the_end, near_the_end + 20), near_the_end + 20);
    CHECK_EQUAL(earlier(near_the_end, near_the_end + 20), near_the_end);
    CHECK(!is_lost(near_the_end, near_the_end + 64, 64));
    CHECK(is_lost(near_the_end, near_the_end + 65, 64));
}
