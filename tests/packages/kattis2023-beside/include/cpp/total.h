int total(int n, int price);
