begin
  undeclared;
end.
