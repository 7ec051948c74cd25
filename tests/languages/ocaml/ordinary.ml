(* What ordinary OCaml programs do: one line a thing, "done" at the end. *)
let hot rounds =
  let total = ref 0 in
  for i = 0 to rounds - 1 do total := ((!total * 31) + i) mod 1000003 done;
  !total

let rec depth n = if n = 0 then 0 else 1 + depth (n - 1)

module Ints = Map.Make (Int)

let () =
  Printf.printf "input %s\n" (read_line ());
  Printf.printf "hot %d\n" (hot 3000000);
  let domains = List.init 2 (fun n -> Domain.spawn (fun () -> hot ((n + 1) * 1000))) in
  Printf.printf "domains %b\n" (List.map Domain.join domains = [ hot 1000; hot 2000 ]);
  let caught = try ignore (List.find (fun n -> n > 5) [ 1; 2 ]); false with Not_found -> true in
  Printf.printf "caught %b %d\n" caught (depth 1000000);
  let table = Hashtbl.create 16 in
  for n = 0 to 99999 do
    Hashtbl.replace table (n mod 1000) (1 + Option.value ~default:0 (Hashtbl.find_opt table (n mod 1000)))
  done;
  Printf.printf "maps %d %d\n" (Hashtbl.length table) (Hashtbl.find table 7);
  Printf.printf "tree %d\n" (Ints.cardinal (List.fold_left (fun m n -> Ints.add n n m) Ints.empty (List.init 10000 Fun.id)));
  let kept = ref [] in
  for n = 1 to 2000 do kept := if n mod 50 = 0 then [] else Bytes.create 100000 :: !kept done;
  Printf.printf "collected %d\n" (List.length !kept);
  Printf.printf "text %s\n" (Str.global_replace (Str.regexp "\\([a-z]+\\)\\([0-9]+\\)") "\\2\\1" "bb22");
  let numbers = Array.init 100000 (fun n -> (n + 1) * 7919 mod 1000003) in
  Array.sort compare numbers;
  Printf.printf "sorted %d\n" numbers.(0);
  Unix.sleepf 0.005;
  Out_channel.with_open_text "note.txt" (fun out -> output_string out "kept");
  Printf.printf "file %s\n" (In_channel.with_open_text "note.txt" In_channel.input_all);
  print_endline (String.make 200000 'x');
  print_endline "done"
