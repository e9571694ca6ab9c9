// Waking by UDP multicast on one machine: empty datagrams, each of which says "look again". Addresses and port in
// network byte order. Sockets are bound to the interface by its address, so that no route is needed.
#pragma once

#include <cstdint>

#include "toroni/os/segment.hpp"

namespace toroni::os {

struct MulticastAddress {
    std::uint32_t group;
    std::uint32_t interface;
    std::uint16_t port;
};

class MulticastSender {
public:
    // Throws system where the interface cannot send.
    explicit MulticastSender(const MulticastAddress& address);
    // Never blocks. A datagram that finds no buffer is not missed: others are on their way then.
    void send() const noexcept;

private:
    Descriptor socket_;
};

class MulticastReceiver {
public:
    // Joins the group; any number of sockets may. Throws system.
    explicit MulticastReceiver(const MulticastAddress& address);
    // Takes the datagrams that are there, at most some thousand.
    void drain() const noexcept;
    [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }

private:
    Descriptor socket_;
};

}  // namespace toroni::os
