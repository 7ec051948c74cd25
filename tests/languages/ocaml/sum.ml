(* "accepted 1 2": the sum; and what else can become of a program. *)
let () =
  Scanf.scanf " %s %d %d" (fun mode a b ->
      if mode = "crash" then failwith mode;
      while mode = "loop" do () done;
      let kept = ref [] in
      while mode = "memory" do
        kept := Bytes.make (1 lsl 20) 'x' :: !kept
      done;
      Printf.printf "%d\n" (a + b + List.length !kept + if mode = "wrong" then 1 else 0))
