// Where an operation begins and ends, for who traces it: each is one trap, at an address that is known. (x86-64)
#pragma once

extern "C" {
void kill_sweep_begin();
void kill_sweep_end();
}
