#pragma once

double half(double x);
