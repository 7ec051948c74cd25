#pragma once

enum { kAccept = 42, kReject = 43 };
